package desktop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// configuration is what the person has set up: one panel with a clock and a tray,
// no question asked at the first start, nothing that moves or fades, and
// notifications in the corner that the tray's menu does not cover.
var configuration = template.Must(template.New("").Parse(`
{{define "xfce4-panel.xml"}}<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="true"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="length" type="double" value="100"/>
      <property name="size" type="uint" value="{{.PanelHeight}}"/>
      <property name="icon-size" type="uint" value="{{.TrayIcon}}"/>
      <property name="enter-opacity" type="uint" value="100"/>
      <property name="leave-opacity" type="uint" value="100"/>
      <property name="background-style" type="uint" value="1"/>
      <property name="background-rgba" type="array">
        <value type="double" value="{{.Red}}"/>
        <value type="double" value="{{.Green}}"/>
        <value type="double" value="{{.Blue}}"/>
        <value type="double" value="1"/>
      </property>
      <property name="plugin-ids" type="array">
        <value type="int" value="1"/>
        <value type="int" value="2"/>
        <value type="int" value="3"/>
      </property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="clock">
      <property name="digital-layout" type="uint" value="3"/>
      <property name="digital-time-format" type="string" value="  %A, %-d %B   %H:%M"/>
      <property name="digital-time-font" type="string" value="DejaVu Sans 11"/>
    </property>
    <property name="plugin-2" type="string" value="separator">
      <property name="expand" type="bool" value="true"/>
      <property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-3" type="string" value="systray">
      <property name="icon-size" type="int" value="{{.TrayIcon}}"/>
      <property name="square-icons" type="bool" value="true"/>
    </property>
  </property>
</channel>
{{end}}
{{define "xfwm4.xml"}}<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfwm4" version="1.0">
  <property name="general" type="empty">
    <property name="use_compositing" type="bool" value="false"/>
    <property name="theme" type="string" value="Default"/>
    <property name="title_font" type="string" value="DejaVu Sans Bold 10"/>
    <property name="workspace_count" type="int" value="1"/>
    <property name="focus_new" type="bool" value="true"/>
    <property name="placement_mode" type="string" value="center"/>
    <property name="placement_ratio" type="int" value="100"/>
    <property name="prevent_focus_stealing" type="bool" value="false"/>
  </property>
</channel>
{{end}}
{{define "xfce4-notifyd.xml"}}<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-notifyd" version="1.0">
  <property name="do-fadeout" type="bool" value="false"/>
  <property name="do-slideout" type="bool" value="false"/>
  <property name="initial-opacity" type="double" value="1.0"/>
  <property name="notify-location" type="uint" value="3"/>
  <property name="theme" type="string" value="Default"/>
</channel>
{{end}}
{{define "settings.ini"}}[Settings]
gtk-theme-name=Adwaita
gtk-icon-theme-name=Adwaita
gtk-font-name=DejaVu Sans 10
gtk-enable-animations=false
gtk-cursor-blink=false
{{end}}
{{define "gtk.css"}}/* Notifications never have the keyboard. Adwaita would draw their buttons as if
   they could not be pressed. */
#XfceNotifyWindow button:backdrop label { color: #2e3436; }
{{end}}
{{define "bus.conf"}}<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={{.Bus}}</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{{.Services}}</servicedir>
  <policy context="default">
    <!-- The practice system itself, which is root, looks on. -->
    <allow user="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
{{end}}`))

// personal are the files of the configuration in a person's home.
var personal = map[string]string{
	".config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml":   "xfce4-panel.xml",
	".config/xfce4/xfconf/xfce-perchannel-xml/xfwm4.xml":         "xfwm4.xml",
	".config/xfce4/xfconf/xfce-perchannel-xml/xfce4-notifyd.xml": "xfce4-notifyd.xml",
	".config/gtk-3.0/settings.ini":                               "settings.ini",
	".config/gtk-3.0/gtk.css":                                    "gtk.css",
	".config/gtk-4.0/settings.ini":                               "settings.ini",
}

// PersonalSettings returns what a person has set up, by the name of the file in the
// home directory. With it [IconPlace] finds the icon in a picture of the screen.
func PersonalSettings() (map[string]string, error) {
	channel := func(c uint8) string { return fmt.Sprintf("%.6f", float64(c)/255) }
	values := struct {
		PanelHeight, TrayIcon int
		Red, Green, Blue      string
	}{panelHeight, trayIcon, channel(panelColor().R), channel(panelColor().G), channel(panelColor().B)}
	files := map[string]string{}
	for file, name := range personal {
		var text strings.Builder
		if err := configuration.ExecuteTemplate(&text, name, values); err != nil {
			return nil, err
		}
		files[file] = text.String()
	}
	return files, nil
}

// configure writes what the programs of the session read when they start.
func (s *Session) configure() error {
	files, err := PersonalSettings()
	if err != nil {
		return err
	}
	for file, text := range files {
		if err := s.write(filepath.Join(s.person.Home(), file), text); err != nil {
			return err
		}
	}
	var bus strings.Builder
	values := struct{ Bus, Services string }{s.busPath(), s.servicesDir()}
	if err := configuration.ExecuteTemplate(&bus, "bus.conf", values); err != nil {
		return err
	}
	return s.write(filepath.Join(s.dir, "bus.conf"), bus.String())
}

// write makes a file of the person's.
func (s *Session) write(path, text string) error {
	if err := s.mkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Chown(path, int(s.person.UID), int(s.person.GID))
}

// mkdirAll makes a directory and those above it, all the person's.
func (s *Session) mkdirAll(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := s.mkdirAll(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, int(s.person.UID), int(s.person.GID))
}
