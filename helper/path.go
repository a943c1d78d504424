package helper

// HelperPath is where the helper is installed. The polkit actions are bound to
// this path, letter by letter: it must hold no symbolic link (pkexec(1), and polkit
// 127 resolves what it is given before it compares).
const HelperPath = "/usr/libexec/immutray/immutray-helper"
