/**
 * The guard itself (decision 0012): the one program that must act while nothing else does. Perl, because it has to live without
 * this program, its container's files and the host's root drive: it needs no file and no other program once it runs, keeps its
 * 6 MB locked in memory, and can ask the kernel for a suspend by itself (DM_DEV_SUSPEND, linux/dm-ioctl.h). `perl-base` is what
 * every Debian has. Arguments: version, socket's name, sysfs. Prints `ready` or a sentence. Protocol: protocol.ts.
 *
 * A volume is suspended once one of its controllers was not `live` for the grace. The suspend waits in a process of its own that
 * nothing ends but a resume (Z14), and a direct read that hangs proves it. Nothing is ever resumed from here, but onto errors
 * when the host goes down (decision 0016).
 *
 * In this text no backtick and no dollar sign before a brace: it is a template.
 */
import { PARTING } from "./parting.ts";

/** Its text. */
export const GUARD_PROGRAM = String.raw`
use strict;
use warnings;
use Errno;
use Fcntl;
use POSIX ();
use Socket;

my ($version, $socket, $sys) = @ARGV;
my $POLL = 0.4;           # seconds between two looks
my $PROBE_AFTER = 200;    # ms that a suspend gets before a read tries it
my $PROVEN_AFTER = 300;   # ms that the read must hang
my %CALLS = (             # system call numbers, and O_DIRECT
  x86_64  => { mlockall => 151, clock => 228, setns => 308, pread => 17, direct => 0x4000 },
  aarch64 => { mlockall => 230, clock => 113, setns => 268, pread => 67, direct => 0x10000 },
);
my $call = $CALLS{(POSIX::uname())[4]} or refuse("the guard does not know this machine's system calls");

sub refuse { syswrite(STDOUT, "$_[0]\n"); POSIX::_exit(1) }

sub now {                 # CLOCK_MONOTONIC in ms
  my $time = pack("qq", 0, 0);
  syscall($call->{clock}, 1, $time) == 0 or die "clock";
  my ($s, $ns) = unpack("qq", $time);
  return $s * 1000 + $ns / 1e6;
}

my $kmsg;
sub say_to_kernel {       # the log that is left when nothing of ours runs
  syswrite($kmsg, "<4>meshstor-guard: $_[0]\n") if $kmsg;
}

sub slurp {
  my ($path) = @_;
  sysopen(my $file, $path, O_RDONLY) or return undef;
  return attribute($file);
}

# An attribute of sysfs through a file that stays open: it means this very object, and fails once that is gone,
# whoever has its name then (Z6).
sub attribute {
  my ($file) = @_;
  return undef unless $file && defined sysseek($file, 0, 0) && defined sysread($file, my $text, 4096);
  $text =~ s/\s+\z//;
  return $text;
}

# --- away from the container that started us: host's mount namespace, a control group of our own ---

sub leave_container {
  (readlink("/proc/self/ns/pid") // "") eq "pid:[4026531836]" or refuse("the node program does not run with the host's process ids (hostPID): its guard would end with it");
  my $mine = readlink("/proc/self/ns/mnt") // "";
  my $hosts = readlink("/proc/1/ns/mnt") // refuse("the host's mount namespace cannot be seen");
  (readlink("/proc/self/ns/net") // "") eq (readlink("/proc/1/ns/net") // "-") or refuse("the node program does not run in the host's network (hostNetwork)");
  if ($mine ne $hosts) {
    sysopen(my $ns, "/proc/1/ns/mnt", O_RDONLY) or refuse("the host's mount namespace cannot be opened: $!");
    syscall($call->{setns}, fileno($ns), 0x20000) == 0 or refuse("the host's mount namespace cannot be entered: $!");
  }
  chdir("/");
  leave_group();
}

sub leave_group {
  my $own = "/sys/fs/cgroup/meshstor-guard";
  for (split /\n/, slurp("/proc/self/cgroup") // "") {
    my ($id, $names, $path) = split /:/, $_, 3;
    next if $path eq "/" || $path eq "/meshstor-guard";
    my $dir = $names eq "" ? (-e "/sys/fs/cgroup/unified" ? "/sys/fs/cgroup/unified" : $own) : "/sys/fs/cgroup/" . ($names =~ s/^name=//r);
    mkdir($dir, 0755) if $dir eq $own;
    my $procs;
    sysopen($procs, "$dir/cgroup.procs", O_WRONLY) && syswrite($procs, "$$\n") or refuse("the control group of the pod cannot be left ($dir): $!");
  }
  my $left = slurp("/proc/self/cgroup") // "";
  $left !~ m{kubepods|containerd|crio|docker|/pod} or refuse("the guard is still in the pod's control group: $left");
}

sub settle {
  my $ready;
  open($ready, ">&", \*STDOUT) or refuse("$!");
  syscall($call->{mlockall}, 3) == 0 or refuse("the guard's memory cannot be locked: $!");
  if (sysopen(my $score, "/proc/self/oom_score_adj", O_WRONLY)) { syswrite($score, "-1000") }
  setpriority(0, 0, -20);
  sysopen($kmsg, "/dev/kmsg", O_WRONLY);
  open($_, "+<", "/dev/null") for \*STDIN, \*STDOUT, \*STDERR;
  syswrite($ready, "ready\n");
}

# --- what is watched, and what is suspended; both by the device-mapper UUID of the volume device ---

my %volume;   # name, device, held (open dm/suspended), watch [{controller, nqn, file}], proven, grace (ms)
my %hold;     # name, device, held, pid, since, probe, probed, proof, said
my $control;
my $quiet = 0;   # nobody is left who could read: nothing is suspended any more (decision 0016)

sub arm {
  my ($id, $name, $device, $proven, $grace, @pairs) = @_;
  my $held = held($id, $device) or return "error device $device is not $id";
  my @watch;
  while (my ($controller, $nqn) = splice(@pairs, 0, 2)) {
    my $same = (slurp("$sys/class/nvme/$controller/subsysnqn") // "") eq $nqn;
    my $file;
    sysopen($file, "$sys/class/nvme/$controller/state", O_RDONLY) if $same;
    push @watch, { controller => $controller, nqn => $nqn, file => $file };
  }
  if (!@watch) { delete $volume{$id}; return "ok" }
  my $now = now();
  $volume{$id} = { name => $name, device => $device, held => $held, watch => \@watch, proven => $proven < $now ? $proven : $now, grace => $grace };
  return "ok";
}

# The open attribute of exactly this volume device.
sub held {
  my ($id, $device) = @_;
  sysopen(my $held, "$sys/class/block/$device/dm/suspended", O_RDONLY) or return undef;
  return (slurp("$sys/class/block/$device/dm/uuid") // "") eq $id ? $held : undef;
}

sub is_live {
  my ($file) = @_;
  my $text;
  return $file && defined sysseek($file, 0, 0) && sysread($file, $text, 32) && $text eq "live\n";
}

my $looks = 0;
sub look {
  my $full = $looks++ % 8 == 0;   # whether devices are still there is asked more rarely: it is half of the work
  for my $id (keys %volume) {
    my $v = $volume{$id};
    my $now = now();
    my @silent = grep { !is_live($_->{file}) } @{$v->{watch}};
    $v->{proven} = $now if !@silent;
    my $overdue = $now - $v->{proven} >= $v->{grace};
    next unless $full || $overdue;
    if (!defined attribute($v->{held})) { delete $volume{$id}; next }
    hold($id, $v, join(", ", map { "$_->{controller} ($_->{nqn})" } @silent) . sprintf(" not live for %d ms", $now - $v->{proven})) if $overdue;
  }
}

# --- suspending: a process of its own, without a deadline (Z14) ---

sub hold {
  my ($id, $of, $why) = @_;
  return if $quiet;
  my $h = $hold{$id} //= { name => $of->{name}, device => $of->{device}, held => $of->{held}, since => 0, proof => 0, said => -60000 };
  return if $h->{pid} || (attribute($h->{held}) // "") eq "1" || waits_already($id, $h);
  my $pid = fork();
  return unless defined $pid;
  if ($pid == 0) { child("\@meshstor-hold $of->{name}"); POSIX::_exit(suspend($id)) }
  $h->{pid} = $pid;
  $h->{since} = now();
  $h->{proof} = 0;
  return if $h->{since} - $h->{said} < 60000;
  $h->{said} = $h->{since};
  say_to_kernel("suspending $of->{name} ($of->{device}): $why");
}

# A suspend of a guard that was killed goes on without it; looked for once a second at most.
sub waits_already {
  my ($id, $h) = @_;
  return $h->{other} if now() - ($h->{asked} // -9999) < 1000;
  $h->{asked} = now();
  $h->{other} = 0;
  opendir(my $proc, "/proc") or return 0;
  for my $pid (grep { /^\d+$/ } readdir($proc)) {
    next unless (slurp("/proc/$pid/comm") // "") =~ /^\@meshstor-hold/;
    $h->{other} = 1 if (slurp("/proc/$pid/cmdline") // "") =~ /^\@meshstor-hold \Q$h->{name}\E\0/;
  }
  $h->{since} = now() if $h->{other};
  return $h->{other};
}

my ($listener, %client);
sub child {
  my ($title) = @_;
  close($listener);
  close($_->{socket}) for values %client;
  $0 = $title;
}

# DM_DEV_SUSPEND with DM_SUSPEND_FLAG, DM_SKIP_LOCKFS_FLAG and DM_NOFLUSH_FLAG, found by UUID (struct dm_ioctl, version 4).
sub suspend {
  my ($id) = @_;
  my $struct = pack("L<4 L<2 l< L<3 Q< a128 a129 a7", 4, 0, 0, 312, 312, 0, 0, 0x2 | 0x400 | 0x800, 0, 0, 0, "", $id, "");
  $control or return POSIX::ENODEV();
  return ioctl($control, 0xC138FD06, $struct) ? 0 : $! + 0 || 255;
}

# Returns only if reads are served. The buffer is aligned as O_DIRECT wants it.
sub read_direct {
  my ($device) = @_;
  sysopen(my $disk, "/dev/$device", O_RDONLY | $call->{direct}) or return 2;
  my $buffer = "\0" x 12288;
  my $at = (unpack("J", pack("p", $buffer)) + 4095) & ~4095;
  return syscall($call->{pread}, fileno($disk), $at, 4096, 0) == 4096 ? 0 : 1;
}

sub tend {
  my %ended;
  while ((my $pid = waitpid(-1, POSIX::WNOHANG())) > 0) { $ended{$pid} = $? }
  for my $id (keys %hold) {
    my $h = $hold{$id};
    if ($h->{pid} && exists $ended{$h->{pid}}) {
      my $status = delete $ended{delete $h->{pid}};
      my $failed = $status >> 8 ? do { local $! = $status >> 8; "$!" } : "";
      say_to_kernel("$h->{name} ($h->{device}) cannot be suspended: $failed") if $failed ne "" && $failed ne ($h->{failed} // "");
      $h->{failed} = $failed;
    }
    if ($h->{probe} && exists $ended{$h->{probe}}) { delete $h->{probe}; $h->{proof} = 0 }
    my $suspended = attribute($h->{held});
    my $inForce = $h->{pid} || $h->{other} || ($suspended // "") eq "1";
    $h->{other} = 0 if $h->{other} && now() - $h->{asked} > 2000;
    if (!$inForce) { $h->{proof} = 0; delete $hold{$id} if !$h->{probe} && (!defined $suspended || !$volume{$id}); next }
    probe($h) if !$h->{probe} && now() - $h->{since} > $PROBE_AFTER && now() - ($h->{probed} // -9999) > 1000;
    if ($h->{probe} && !$h->{proof} && now() - $h->{probed} > $PROVEN_AFTER) {
      $h->{proof} = 1;
      say_to_kernel("$h->{name} ($h->{device}) serves nothing any more: a read waits");
    }
  }
}

sub probe {
  my ($h) = @_;
  my $pid = fork();
  return unless defined $pid;
  if ($pid == 0) { child("\@meshstor-probe $h->{name}"); POSIX::_exit(read_direct($h->{device})) }
  $h->{probe} = $pid;
  $h->{probed} = now();
}

${PARTING}
# --- requests ---

sub answer {
  my ($verb, @rest) = split /\t/, $_[0], -1;
  return "guard\t$version\t$$\n" if $verb eq "hello";
  if ($verb eq "arm") { my $said = arm(@rest); look(); return "$said\n" }
  if ($verb eq "suspend") {
    my ($id, $name, $device) = @rest;
    my $held = held($id, $device) or return "error device $device is not $id\n";
    hold($id, { name => $name, device => $device, held => $held }, "asked for");
    return "ok\n";
  }
  return join("", map { described($_) } sort(keys %{{ %volume, %hold }})) if $verb eq "list";
  if ($verb eq "quit") { say_to_kernel("ends for another one to follow"); POSIX::_exit(0) }
  return "error unknown request\n";
}

sub described {
  my ($id) = @_;
  my ($v, $h) = ($volume{$id}, $hold{$id});
  my $of = $v // $h;
  my $state = (attribute($of->{held}) // "") eq "1" ? "suspended" : $h && ($h->{pid} || $h->{other}) ? "suspending" : "armed";
  my @watch = $v ? map { ($_->{controller}, $_->{nqn}) } @{$v->{watch}} : ();
  my @numbers = map { sprintf("%.0f", $_) } $v ? ($v->{proven}, $v->{grace}) : (0, 0);
  return join("\t", $id, $of->{name}, $of->{device}, $state, $h && $h->{proof} ? 1 : 0, $h && $h->{failed} ? $h->{failed} : "", @numbers, @watch) . "\n";
}

# Root with CAP_SYS_ADMIN only: the name of the socket is open to everybody in the host's network.
sub may_ask {
  my ($asker) = @_;
  my ($pid, $uid) = unpack("iii", getsockopt($asker, SOL_SOCKET, 17) // return 0);
  return $uid == 0 && (slurp("/proc/$pid/status") // "") =~ /^CapEff:\s*([0-9a-f]+)$/m && hex(substr($1, -6)) & (1 << 21);
}

sub listen_here {
  socket($listener, AF_UNIX, SOCK_STREAM, 0) or refuse("$!");
  bind($listener, pack("S a*", AF_UNIX, "\0$socket")) or refuse("another guard runs: $!");
  listen($listener, 64) or refuse("$!");
  fcntl($listener, F_SETFL, O_NONBLOCK);
}

# Nobody who does not read can make this program wait.
sub serve {
  my ($wait) = @_;
  my ($readers, $writers) = ("", "");
  vec($readers, $_, 1) = 1 for fileno($listener), keys %client;
  vec($writers, $_, 1) = 1 for grep { length $client{$_}{out} } keys %client;
  return if select($readers, $writers, undef, $wait) <= 0;
  if (vec($readers, fileno($listener), 1) && accept(my $new, $listener)) {
    fcntl($new, F_SETFL, O_NONBLOCK);
    $client{fileno($new)} = { socket => $new, text => "", out => "" } if may_ask($new);
  }
  for my $n (grep { vec($readers, $_, 1) } keys %client) {
    my $c = $client{$n};
    my $got = sysread($c->{socket}, $c->{text}, 65536, length $c->{text});
    next if !defined $got && $!{EAGAIN};
    if (!$got || length $c->{text} > 1e6) { delete $client{$n}; next }
    while ($c->{text} =~ s/^([^\n]*)\n//) { $c->{out} .= answer($1) . "\n" }
  }
  for my $c (grep { length $_->{out} } values %client) {
    my $sent = syswrite($c->{socket}, $c->{out});
    substr($c->{out}, 0, $sent) = "" if $sent;
  }
}

$SIG{$_} = "IGNORE" for qw(TERM INT HUP PIPE);
$SIG{USR1} = sub { $quiet = 1 };
if ($sys eq "/sys") {   # another tree is a test's: nothing of this machine is touched
  opendir($configfs, "/sys/kernel/config") or undef $configfs;
  leave_container();
  sysopen($control, "/dev/mapper/control", O_RDWR) or refuse("device-mapper cannot be reached: $!");
}
listen_here();
$0 = "\@meshstor-guard";
settle();
my $next = now();
while (1) {
  if (now() >= $next) { look(); tend(); depart() if $control; $next = now() + 1000 * $POLL }
  my $wait = ($next - now()) / 1000;
  serve($wait > 0 ? $wait : 0);
}
`;
