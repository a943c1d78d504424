package text

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Hour, "less than 1 min"},
		{0, "less than 1 min"},
		{59 * time.Second, "less than 1 min"},
		{time.Minute, "1 min"},
		{23*time.Minute + 59*time.Second, "23 min"},
		{time.Hour, "1 h"},
		{2*time.Hour + 5*time.Minute, "2 h 5 min"},
		{day - time.Second, "23 h 59 min"},
		{day, "1 day"},
		{36 * time.Hour, "1 day 12 h"},
		{2*day - time.Second, "1 day 23 h"},
		{3*day + time.Hour, "3 days"},
	} {
		if got := Duration(tt.d); got != tt.want {
			t.Errorf("Duration(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestSpokenDuration(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{time.Minute, "1 minute"},
		{30 * time.Minute, "30 minutes"},
		{time.Hour, "1 hour"},
		{90 * time.Minute, "1 h 30 min"},
		{2 * time.Hour, "2 hours"},
		{24 * time.Hour, "1 day"},
		{5 * time.Second, "less than 1 min"},
	} {
		if got := SpokenDuration(tt.d); got != tt.want {
			t.Errorf("SpokenDuration(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestTimeOfDay(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 27, 23, 50, 0, 0, berlin) // a Friday; summer time begins on Sunday
	for _, tt := range []struct {
		name string
		t    time.Time
		want string
	}{
		{"today", time.Date(2026, 3, 27, 14, 30, 0, 0, berlin), "14:30"},
		{"in another zone", time.Date(2026, 3, 27, 13, 30, 0, 0, time.UTC), "14:30"},
		{"past midnight", time.Date(2026, 3, 28, 0, 5, 0, 0, berlin), "Sat 00:05"},
		{"past the change of time", time.Date(2026, 3, 30, 0, 5, 0, 0, berlin), "Mon 00:05"},
		{"yesterday", time.Date(2026, 3, 26, 23, 55, 0, 0, berlin), "Thu 23:55"},
		{"six days ago", time.Date(2026, 3, 21, 0, 0, 0, 0, berlin), "Sat 00:00"},
		{"a week ago", time.Date(2026, 3, 20, 23, 59, 0, 0, berlin), "20 Mar 23:59"},
		{"next year", time.Date(2027, 1, 2, 8, 0, 0, 0, berlin), "2 Jan 2027 08:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := TimeOfDay(tt.t, now); got != tt.want {
				t.Errorf("TimeOfDay(%v, %v) = %q, want %q", tt.t, now, got, tt.want)
			}
		})
	}
}

func TestName(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		most     int
		want     string
	}{
		{"plain", "/etc/ssh", 20, "/etc/ssh"},
		{"space", "a b", 20, "a b"},
		{"umlaut", "/srv/Grüße", 20, "/srv/Grüße"},
		{"line break and tab", "a\nb\tc", 20, `a\nb\tc`},
		{"terminal escape", "\x1b[31mred", 20, `\x1b[31mred`},
		{"not UTF-8", "caf\xe9/\xff", 20, `caf\xe9/\xff`},
		{"text direction", "gpj.\u202eexe", 20, `gpj.\u202eexe`},
		{"replacement character itself", "\ufffd", 20, "\ufffd"},
		{"unit", `dev-disk-by\x2duuid.swap`, 40, `dev-disk-by\x2duuid.swap`},
		{"NUL", "a\x00b", 20, `a\x00b`},
		{"long", "/usr/share/doc/some/where/deep/file.txt", 16, "/usr/…p/file.txt"},
		{"long and broken", "\xff\xff\xff\xff\xff\xff\xff\xff", 10, `\xf…ff\xff`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Name(tt.in, tt.most)
			if got != tt.want {
				t.Errorf("Name(%q, %d) = %q, want %q", tt.in, tt.most, got, tt.want)
			}
			if n := utf8.RuneCountInString(got); n > tt.most {
				t.Errorf("Name(%q, %d) has %d characters", tt.in, tt.most, n)
			}
		})
	}
}

func FuzzVisible(f *testing.F) {
	for _, s := range []string{"", "/", "a\nb", "\xff\xfe", "\u202e", "𝄞"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		if most < 1 || most > 1000 {
			return
		}
		got := Name(s, most)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > most {
			t.Errorf("Name(%q, %d) = %q", s, most, got)
		}
		for _, r := range got {
			if r < ' ' || r == 0x7f {
				t.Errorf("Name(%q, %d) = %q has a control character", s, most, got)
			}
		}
	})
}

func TestSentence(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"cannot lock /etc: device busy": "Cannot lock /etc: device busy.",
		"ähnlich":                       "Ähnlich.",
		"Run it again!":                 "Run it again!",
		"waiting for the password…":     "Waiting for the password…",
	} {
		if got := Sentence(in); got != want {
			t.Errorf("Sentence(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestList(t *testing.T) {
	for want, words := range map[string][]string{
		"":           nil,
		"a":          {"a"},
		"a and b":    {"a", "b"},
		"a, b and c": {"a", "b", "c"},
	} {
		if got := List(words); got != want {
			t.Errorf("List(%q) = %q, want %q", words, got, want)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		command []string
		want    string
	}{
		{nil, ""},
		{[]string{"apt", "upgrade", "--purge"}, "apt upgrade --purge"},
		{[]string{"sh", "-c", "echo a", ""}, `sh -c "echo a" ""`},
		{[]string{"a\"b", "\x1b[31m", "a\u202eb", "\xff"}, `"a\"b" "\x1b[31m" "a\u202eb" "\xff"`},
		{[]string{"Größe"}, "Größe"},
	} {
		if got := CommandLine(test.command, 500); got != test.want {
			t.Errorf("%q is %s, want %s", test.command, got, test.want)
		}
	}
	long := []string{strings.Repeat("ä", 1000)}
	if got := CommandLine(long, 500); utf8.RuneCountInString(got) != 500 || !strings.HasSuffix(got, "ä…") {
		t.Errorf("a long command is %s", got)
	}
}

func TestShorten(t *testing.T) {
	for text, want := range map[string]string{"": "", "1234567": "1234567", "12345678": "123456…", "äöüäöüäöü": "äöüäöü…"} {
		if got := Shorten(text, 7); got != want {
			t.Errorf("Shorten(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestShortenName(t *testing.T) {
	for text, want := range map[string]string{"": "", "1234567": "1234567", "12345678": "12…5678", "äöüäöüäöü": "äö…üäöü"} {
		if got := ShortenName(text, 7); got != want {
			t.Errorf("ShortenName(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestFirstLine(t *testing.T) {
	for in, want := range map[string]string{"": "", "\n \n one\ntwo": "one", "\x1b[2Jred\r\n": `\x1b[2Jred`, "0123456789 abc": "0123456789…"} {
		if got := FirstLine(in, 11); got != want {
			t.Errorf("FirstLine(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestExactDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{"0s": 0, "30s": 30 * time.Second, "10m": 10 * time.Minute, "1h": time.Hour, "1h30m": 90 * time.Minute, "1m5s": 65 * time.Second} {
		if got := ExactDuration(d); got != want {
			t.Errorf("ExactDuration(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "/etc", "/etc"},
		{"root", "/", "/"},
		{"letters of any script", "/größe/データ", "/größe/データ"},
		{"backslash as systemd escapes", `mnt-my\x2ddisk.mount`, `mnt-my\x2ddisk.mount`},
		{"nothing", "", `""`},
		{"space", "/my disk", `"/my disk"`},
		{"quotation mark", `/a"b`, `"/a\"b"`},
		{"newline", "/a\nb", `"/a\nb"`},
		{"tab", "/a\tb", `"/a\tb"`},
		{"escape sequence", "/a\x1b[2J", `"/a\x1b[2J"`},
		{"control character of eight bits", "/a\u009b2J", `"/a\u009b2J"`},
		{"not UTF-8", "/a\xff\xfeb", `"/a\xff\xfeb"`},
		{"cut character", "/gr\xc3", `"/gr\xc3"`},
		{"writing turned round", "/a\u202etxt.exe", `"/a\u202etxt.exe"`},
		{"invisible", "/a\u200bb", `"/a\u200bb"`},
		{"space of another kind", "/a\u00a0b", `"/a\u00a0b"`},
		{"the replacement character itself", "/a\ufffdb", "/a\ufffdb"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Quote(test.in); got != test.want {
				t.Errorf("Quote(%q) = %s, want %s", test.in, got, test.want)
			}
		})
	}
}

func TestVisible(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", `cannot lock "/my disk": busy`, `cannot lock "/my disk": busy`},
		{"newline", "one\nimmutectl: error: two", `one\nimmutectl: error: two`},
		{"escape sequence", "a\x1b[31mb", `a\x1b[31mb`},
		{"not UTF-8", "a\xffb", `a\xffb`},
		{"writing turned round", "a\u202eb", `a\u202eb`},
		{"letters of any script", "größe データ …", "größe データ …"},
		{"nothing", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Visible(test.in); got != test.want {
				t.Errorf("Visible(%q) = %s, want %s", test.in, got, test.want)
			}
		})
	}
}
