package text

// A Clip keeps the beginning of what is written to it and swallows the rest, so that the
// writer is not held up.
type Clip struct {
	Most int    // how many bytes it keeps
	Data []byte // what it has kept
	Cut  bool   // whether there was more
}

// Write implements io.Writer. It never fails.
func (c *Clip) Write(data []byte) (int, error) {
	keep := min(len(data), c.Most-len(c.Data))
	c.Cut = c.Cut || keep < len(data)
	c.Data = append(c.Data, data[:keep]...)
	return len(data), nil
}
