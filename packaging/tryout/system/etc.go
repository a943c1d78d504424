package system

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// etcNames is what a desktop needs of the machine's /etc. Nothing secret is among
// it, and nothing that names the machine or its people.
var etcNames = [...]string{
	"alternatives", "bash.bashrc", "bash_completion", "dbus-1", "debian_version", "default/locale",
	"environment", "fonts", "gtk-2.0", "gtk-3.0", "gtk-4.0", "inputrc", "ld.so.cache", "ld.so.conf",
	"ld.so.conf.d", "locale.alias", "locale.conf", "localtime", "man_db.conf", "manpath.config", "mime.types",
	"os-release", "pango", "profile", "shells", "terminfo", "timezone", "X11/rgb.txt", "xdg",
}

// etc fills the protected /etc.
func (b *builder) etc() error {
	for _, name := range etcNames {
		source := filepath.Join("/etc", name)
		if _, err := os.Lstat(source); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		target := b.path(source)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := copyTree(source, target); err != nil {
			return err
		}
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	p := b.person
	for name, content := range map[string]string{
		"group":         fmt.Sprintf("root:x:0:\ntty:x:5:\n%s:x:%d:\nnogroup:x:65534:\n", p.Name, p.GID),
		"hostname":      "practice\n",
		"hosts":         "127.0.0.1\tlocalhost practice\n",
		"machine-id":    hex.EncodeToString(id) + "\n",
		"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
		"passwd": "root:x:0:0:root:/root:/bin/bash\n" +
			fmt.Sprintf("%s:x:%d:%d::%s:/bin/bash\n", p.Name, p.UID, p.GID, p.Home()) +
			"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
	} {
		if err := os.WriteFile(b.path(filepath.Join("/etc", name)), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
