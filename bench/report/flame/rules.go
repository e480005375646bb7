package flame

import "strings"

// A Kind is the colour of a box, and what a cost is of.
type Kind int

// Kinds.
const (
	Other     Kind = iota // of the standard library and small libraries
	Kernel                // system calls
	Collector             // of garbage
	Runtime               // Go's: goroutines, memory, timers
	Tenma
	Store // Pebble
	SMTP  // go-smtp
	Crypto
	kinds // how many there are
)

// String is the kind's name in the legend and in JSON.
func (k Kind) String() string {
	return [...]string{"other libraries", "system calls", "garbage collection", "Go runtime", "tenma", "Pebble", "go-smtp", "cryptography"}[k]
}

// MarshalText gives String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// A rule names a cost. It takes a sample if a function on its stack begins with
// one of in, and another, or the same, with one of within, where that is given.
type rule struct {
	cost       string
	kind       Kind
	in, within []string
}

// Functions in which the kernel works. The time to enter and to leave it is
// counted with it.
func kernelCalls() []string {
	return []string{"internal/runtime/syscall", "runtime/internal/syscall", "syscall.Syscall", "syscall.RawSyscall", "syscall.rawVforkSyscall", "golang.org/x/sys/unix.Syscall", "golang.org/x/sys/unix.RawSyscall"}
}

// Calls by which the runtime itself asks the kernel.
func runtimeKernelCalls() []string {
	return []string{"runtime.usleep", "runtime.osyield", "runtime.nanosleep", "runtime.madvise", "runtime.mmap", "runtime.munmap", "runtime.sysMmap", "runtime.sysMunmap", "runtime.tgkill", "runtime.read1", "runtime.write1", "runtime.clone", "runtime.rtsigprocmask", "runtime.sched_yield", "runtime.timer_", "runtime.setitimer"}
}

func collector() []string {
	return []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.deductAssistCredit", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime.gcMark", "runtime.gcDrain", "runtime.gcSweep", "runtime.sweepone", "runtime.deductSweepCredit", "runtime.(*mheap).reclaim", "runtime.(*sweepLocked)", "runtime.gcWriteBarrier", "runtime.wbBufFlush", "runtime.scanobject", "runtime.scanObject", "runtime.scanblock", "runtime.markroot", "runtime.greyobject"}
}

// rules is the list, in order. Narrow ones stand before wide ones, and the
// kernel's before all, since one wants to know what is out of Go's hands.
func rules() []rule {
	kernel := kernelCalls()
	libcrypto := []string{"tenma/relay/policy/dkim/libcrypto."}
	return []rule{
		{"garbage collection", Collector, collector(), nil},
		{"system calls: write to sockets", Kernel, kernel, []string{"net.(*netFD).Write", "net.(*netFD).writeBuffers", "net.(*netFD).writeTo"}},
		{"system calls: read from sockets", Kernel, kernel, []string{"net.(*netFD).Read", "net.(*netFD).readFrom"}},
		{"system calls: fdatasync and the like", Kernel, kernel, []string{"golang.org/x/sys/unix.Fdatasync", "golang.org/x/sys/unix.SyncFileRange", "syscall.Fdatasync", "syscall.Fsync", "syscall.SyncFileRange", "internal/poll.(*FD).Fsync"}},
		{"system calls: write to files", Kernel, kernel, []string{"os.(*File).Write", "os.(*File).write", "os.(*File).pwrite", "golang.org/x/sys/unix.Pwrite", "syscall.Pwrite"}},
		{"system calls: read from files", Kernel, kernel, []string{"os.(*File).Read", "os.(*File).read", "os.(*File).pread"}},
		{"system calls: open, close, set up connections", Kernel, kernel, []string{"net."}},
		{"system calls: open, remove, allocate files", Kernel, kernel, []string{"os.", "golang.org/x/sys/unix.Fallocate", "syscall.Fallocate", "github.com/cockroachdb/pebble/v2/vfs."}},
		{"system calls: wait for sockets (epoll)", Kernel, []string{"runtime.netpoll", "internal/runtime/syscall.Epoll", "internal/runtime/syscall/linux.Epoll"}, nil},
		{"system calls: wake and rest threads (futex)", Kernel, []string{"runtime.futex"}, nil},
		{"system calls: other", Kernel, append(kernel, runtimeKernelCalls()...), nil},
		{"RSA signature (libcrypto)", Crypto, libcrypto, []string{"runtime.cgocall", "runtime.asmcgocall", "github.com/ebitengine/purego."}},
		{"RSA signature (Go)", Crypto, []string{"crypto/rsa.Sign", "crypto/rsa.(*PrivateKey).Sign", "crypto/internal/fips140/rsa.Sign", "crypto/internal/fips140/rsa.decrypt"}, nil},
		{"TLS", Crypto, []string{"crypto/tls."}, nil},
		{"hashes for DKIM", Crypto, []string{"crypto/sha256.", "crypto/internal/fips140/sha256.", "crypto/internal/fips140deps"}, []string{"tenma/relay/policy/dkim", "tenma/relay/wire/dkim"}},
		{"hashes and checksums", Crypto, []string{"crypto/sha", "crypto/internal/fips140/sha", "hash/", "github.com/cockroachdb/crlib/crhash", "github.com/cockroachdb/pebble/v2/internal/crc", "github.com/cespare/xxhash"}, nil},
		{"other cryptography", Crypto, append([]string{"crypto/", "math/big.", "golang.org/x/crypto/"}, libcrypto...), nil},
		{"store: memtable insertion", Store, []string{"github.com/cockroachdb/pebble/v2.(*memTable)", "github.com/cockroachdb/pebble/v2/internal/arenaskl.", "github.com/cockroachdb/pebble/v2.(*DB).commitApply"}, nil},
		{"store: compaction and flush", Store, []string{"github.com/cockroachdb/pebble/v2.(*DB).compact", "github.com/cockroachdb/pebble/v2.(*DB).flush", "github.com/cockroachdb/pebble/v2.(*DB).runCompaction", "github.com/cockroachdb/pebble/v2/sstable"}, nil},
		{"store: write-ahead log", Store, []string{"github.com/cockroachdb/pebble/v2/record.", "github.com/cockroachdb/pebble/v2/wal."}, nil},
		{"store: commits and the rest", Store, []string{"github.com/cockroachdb/pebble/v2"}, nil},
		{"metrics", Other, []string{"github.com/prometheus/", "tenma/metrics."}, nil},
		{"memory: allocation", Runtime, []string{"runtime.mallocgc", "runtime.newobject", "runtime.makeslice", "runtime.growslice", "runtime.(*mcache)", "runtime.(*mcentral)", "runtime.(*mheap)", "runtime.rawbyteslice", "runtime.rawstring"}, nil},
		{"memory: copies and clears", Runtime, []string{"runtime.memmove", "runtime.memclr", "runtime.duffcopy", "runtime.duffzero"}, nil},
		{"scheduler", Runtime, []string{"runtime.mcall", "runtime.schedule", "runtime.findRunnable", "runtime.gopark", "runtime.goready", "runtime.ready", "runtime.goschedImpl", "runtime.mstart", "runtime.morestack", "runtime.newproc", "runtime.chansend", "runtime.chanrecv", "runtime.selectgo", "runtime.sellock", "runtime.closechan", "runtime.sem", "runtime.lock2", "runtime.unlock2", "runtime.exitsyscall", "runtime.wakep", "runtime.sysmon", "runtime.notetsleep", "runtime.goexit0", "sync.runtime_", "internal/sync.runtime_", "internal/sync.(*Mutex)", "sync.(*Mutex)", "sync.(*Cond)", "runtime.mPark", "runtime.casgstatus"}, nil},
		{"timers and clock", Runtime, []string{"runtime.(*timer", "runtime.nanotime", "runtime.walltime", "time.runtimeNow", "time.now", "time.Now", "time.Since", "time.Until", "time.runtimeNano", "time.(*Timer)", "time.resetTimer", "internal/poll.runtime_pollSetDeadline", "internal/poll.setDeadlineImpl", "runtime.poll_runtime_pollSetDeadline"}, nil},
	}
}

// takes reports whether the rule is the sample's.
func (r *rule) takes(calls []string) bool {
	return onStack(calls, r.in) && (r.within == nil || onStack(calls, r.within))
}

func onStack(calls, prefixes []string) bool {
	for _, c := range calls {
		if begins(c, prefixes) {
			return true
		}
	}
	return false
}

func begins(function string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(function, p) {
			return true
		}
	}
	return false
}

// kindOf gives the colour of a function by itself.
func kindOf(function string) Kind {
	switch {
	case function == unknown:
		return Other
	case begins(function, collector()):
		return Collector
	case begins(function, kernelCalls()), begins(function, runtimeKernelCalls()), begins(function, []string{"runtime.futex", "runtime.netpoll", "golang.org/x/sys/unix.", "syscall."}):
		return Kernel
	}
	pkg := packageOf(function)
	switch {
	case strings.HasPrefix(pkg, "tenma/relay/policy/dkim/libcrypto"):
		return Crypto
	case pkg == "tenma" || strings.HasPrefix(pkg, "tenma/") || pkg == "main":
		return Tenma
	case pkg == "runtime" || strings.HasPrefix(pkg, "runtime/") || strings.HasPrefix(pkg, "internal/runtime/") || !strings.Contains(function, "."):
		return Runtime // assembly of the runtime has names without a package: memeqbody
	case strings.HasPrefix(pkg, "github.com/cockroachdb/"):
		return Store
	case strings.HasPrefix(pkg, "github.com/emersion/go-smtp"):
		return SMTP
	case pkg == "crypto" || strings.HasPrefix(pkg, "crypto/") || strings.HasPrefix(pkg, "golang.org/x/crypto/"), strings.HasPrefix(pkg, "github.com/ebitengine/purego"):
		return Crypto
	}
	return Other
}

// packageOf gives the package of a function's name:
// "net/http.(*conn).serve[...]" is of "net/http".
func packageOf(function string) string {
	if function == unknown {
		return unknown
	}
	end := len(function)
	if i := strings.IndexAny(function, "[("); i >= 0 {
		end = i // what stands in brackets has slashes and dots of its own
	}
	slash := strings.LastIndexByte(function[:end], '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		pkg := function[:slash+dot]
		// The dots in "gopkg.in/yaml.v3.Unmarshal" are written %2e but for the last.
		return strings.ReplaceAll(pkg, "%2e", ".")
	}
	return "runtime"
}
