package sandbox

import "testing"

func TestWishes(t *testing.T) {
	type mount struct {
		point     string
		inherited bool
		want      Wish
	}
	for name, c := range map[string]struct {
		settings Settings
		mounts   []mount
	}{
		"only its own /tmp": {Settings{Private: true}, []mount{
			{"/", true, Writable}, {"/etc", true, Writable}, {"/usr", false, Unknown},
		}},
		"ProtectSystem=yes": {Settings{ProtectSystem: "yes"}, []mount{
			{"/", true, Writable}, {"/etc", true, Writable}, {"/usr", false, ReadOnly}, {"/boot", true, ReadOnly}, {"/usr/local", true, ReadOnly},
		}},
		"ProtectSystem=full": {Settings{ProtectSystem: "full"}, []mount{
			{"/", true, Writable}, {"/etc", true, ReadOnly}, {"/usr", false, ReadOnly},
		}},
		"ProtectSystem=full with a directory of its own": {Settings{ProtectSystem: "full", ConfigurationDirectory: []string{"bluetooth:link"}}, []mount{
			{"/etc", true, ReadOnly}, {"/etc/bluetooth", false, Writable},
		}},
		"ProtectSystem=strict": {Settings{ProtectSystem: "strict"}, []mount{
			{"/", true, ReadOnly}, {"/etc", true, ReadOnly}, {"/root", false, Writable}, {"/usr", true, ReadOnly},
		}},
		"DynamicUser=yes": {Settings{ProtectSystem: "strict", ProtectHome: "read-only"}, []mount{
			{"/", true, ReadOnly}, {"/root", false, ReadOnly},
		}},
		"strict but for /etc": {Settings{ProtectSystem: "strict", ReadWritePaths: []string{"-/etc"}}, []mount{
			{"/", true, ReadOnly}, {"/etc", true, Writable},
		}},
		"strict but for a directory": {Settings{ProtectSystem: "strict", ReadWritePaths: []string{"/etc/NetworkManager/"}}, []mount{
			{"/etc", true, ReadOnly}, {"/etc/NetworkManager", false, Writable},
		}},
		"strict also where it is writable": {Settings{ProtectSystem: "strict", ReadWritePaths: []string{"/"}}, []mount{
			{"/", true, ReadOnly},
		}},
		"ReadOnlyPaths=": {Settings{ReadOnlyPaths: []string{"-+/etc"}, ReadWritePaths: []string{"/etc/x"}}, []mount{
			{"/", true, Writable}, {"/etc", true, ReadOnly}, {"/etc/x", false, Writable},
		}},
		"the same path twice": {Settings{ReadOnlyPaths: []string{"/etc"}, ReadWritePaths: []string{"/etc"}, ExecPaths: []string{"/etc"}}, []mount{
			{"/etc", true, ReadOnly},
		}},
		"ReadOnlyPaths=/ ExecPaths=/usr": {Settings{ReadOnlyPaths: []string{"/"}, ExecPaths: []string{"/usr"}, NoExecPaths: []string{"/"}}, []mount{
			{"/", true, ReadOnly}, {"/usr", false, ReadOnly},
		}},
		"NoExecPaths=": {Settings{NoExecPaths: []string{"/srv"}}, []mount{
			{"/srv", false, Writable}, {"/srv/x", false, Unknown},
		}},
		"InaccessiblePaths=": {Settings{InaccessiblePaths: []string{"/etc"}}, []mount{
			{"/etc", true, ReadOnly}, {"/", true, Writable},
		}},
		"bound elsewhere": {Settings{BindPaths: []string{"/host"}, BindReadOnlyPaths: []string{"/srv/usr"}}, []mount{
			{"/host", false, Writable}, {"/host/etc", false, Writable}, {"/srv/usr", false, ReadOnly}, {"/srv/usr/x", false, ReadOnly}, {"/srv", false, Unknown},
		}},
		"another root": {Settings{RootDirectory: "/srv/root", ProtectSystem: "yes"}, []mount{
			{"/", false, Writable}, {"/etc", false, Writable}, {"/usr", false, ReadOnly},
		}},
		"in another root": {Settings{RootDirectory: "/srv/root/", ProtectSystem: "strict", ReadWritePaths: []string{"/etc", "-+/opt", "-/srv/root/var"}}, []mount{
			{"/etc", true, ReadOnly}, {"/opt", true, Writable}, {"/var", true, Writable},
		}},
		"in an image": {Settings{RootImage: "/srv/image", ProtectSystem: "strict", ReadWritePaths: []string{"/etc", "+/opt"}}, []mount{
			{"/etc", true, ReadOnly}, {"/opt", true, Writable},
		}},
		"through a link": {Settings{ReadOnlyPaths: []string{"/etc/link"}}, []mount{
			{"/etc/target", false, Unknown}, {"/etc", true, Writable},
		}},
	} {
		b := New(c.settings)
		if !b.Exists() {
			t.Errorf("%s: there is no sandbox", name)
		}
		for _, m := range c.mounts {
			if got := b.Of(m.point, m.inherited); got != m.want {
				t.Errorf("%s: the wish for %s (inherited: %t) = %d, want %d", name, m.point, m.inherited, got, m.want)
			}
		}
	}
	if New(Settings{ProtectSystem: "no", ProtectHome: "no"}).Exists() {
		t.Error("a unit without any setting has a sandbox")
	}
}
