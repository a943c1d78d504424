package notify

import (
	"testing"
	"time"
)

// A lock goes path by path, and waits for writers. What is true in between is none of
// the person's business, whether it ends in a lock or in everything as before.
func TestRemindersLockUnderWay(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.clock.Await(t, 15*time.Minute)
	s.clock.Advance(time.Minute)
	s.reminders.Update(halfOpen)
	s.clock.Await(t, refreshGap)
	s.clock.Advance(5 * time.Second)
	s.reminders.Update(unlockedBy("rrs"))
	s.clock.Await(t, 15*time.Minute-65*time.Second)
	s.reminders.Update(halfOpen)
	s.clock.Await(t, refreshGap)
	s.reminders.Update(allLocked)
	s.server.WaitForOpen(0)
	s.server.WaitForPosts(1)
}

// However long it takes, a lock that is under way neither changes the reminder nor
// brings another one; when it has failed, reminding goes on.
func TestRemindersSlowLock(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.clock.Await(t, 15*time.Minute)
	s.clock.Advance(14 * time.Minute)
	s.reminders.LockBegan()
	s.clock.Await(t, lockTimeout)
	s.reminders.Update(halfOpen)
	s.clock.Advance(2 * time.Minute)
	s.clock.Await(t, lockTimeout-2*time.Minute)
	s.server.WaitForPosts(1)
	s.reminders.Update(unlockedBy("rrs"))
	s.reminders.LockEnded()
	s.server.WaitForPosts(2)

	// One that never has an answer holds the next one back for a while, and no longer.
	s.clock.Await(t, 15*time.Minute)
	s.clock.Advance(14 * time.Minute)
	s.reminders.LockBegan()
	s.pass(lockTimeout)
	s.server.WaitForPosts(3)
}
