package writers

import (
	"os/user"
	"strconv"
	"sync"
)

// users are the names of users, each looked up once in a scan. They have a lock of
// their own: where the C library looks names up, it may wait for a server.
type users struct {
	mu    sync.Mutex
	names map[uint32]string
}

// name returns the name of a user, or the number where it has none.
func (u *users) name(uid uint32) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if name, known := u.names[uid]; known {
		return name
	}
	name := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(name); err == nil {
		name = found.Username
	}
	u.names[uid] = name
	return name
}
