package server

import "immutray.org/helper/config"

const usage = `usage: immutray-helper lock|lock-force|unlock|seal|unseal [--config FILE]
       immutray-helper unlock [--for TIME | --until-locked] [--reason TEXT]
                              [--config FILE | --ignore-config]
       immutray-helper seal|unseal --check

Root's helper behind immutray and immutectl, which call it through pkexec.
Use "immutectl" instead.

  lock             make the protected paths read-only
  lock-force       lock although programs are writing, which may harm them
  unlock           make them writable
  seal             lock, if this boot is to be sealed
  unseal           unlock, if this boot is to come up unlocked
  --check          exit with 0 if this boot is for the verb, with 1 if not
  --config FILE    read FILE instead of ` + config.Path + `; root only
  --ignore-config  unlock although that file is refused; root only
  --for TIME       unlock for 30m, 2h and the like, then lock again
  --until-locked   unlock until someone locks
  --reason TEXT    record why, in at most 200 characters
  --after-run      lock at the end of a command of "immutectl run"; root only
  --work           do the work in this process; only for the units of Immutray
  --due            lock only if the time of an unlock is over; only for the units
  --lent           take back only the write access of commands of "immutectl run"
                   that no process watches any more; only for the units
  --on OCCASION    lock if relock_on names OCCASION, sleep or logout; only for the units

exit codes: 0 done, 1 failed, 2 usage, 3 blocked by writers, 4 not prepared,
5 package manager running, 6 configuration refused
`
