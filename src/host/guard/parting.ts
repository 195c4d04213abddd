/** The part of the guard's program that acts when the host goes down (decision 0016, Z12): exports are unlinked, and what is held ends once its users are killed. */
export const PARTING = String.raw`# --- the host goes down (decision 0016): systemd-shutdown is process 1 by then, and leaves whoever's title begins with @ alive ---

my $down = 0;
my $configfs;             # as the node program saw it: the host need not have it mounted

sub depart {
  return if $down || (slurp("/proc/1/comm") // "") ne "systemd-shutdow";
  $down = 1;
  say_to_kernel("the host goes down: exports are unlinked; what is held ends once its users are killed");
  for (["withdraw", \&withdraw], ["parting", \&let_go]) {
    my ($title, $work) = @$_;
    my $pid = fork();
    if (defined $pid && $pid == 0) { child("\@meshstor-$title"); syscall($call->{mlockall}, 3); $work->(); POSIX::_exit(0) }
  }
}

# Unlinked, never disabled: whoever uses an export hears silence, not an error (Z12).
sub withdraw {
  $configfs && chdir($configfs) or chdir("/sys/kernel/config") or return;
  for my $port (names("nvmet/ports")) {
    unlink("nvmet/ports/$port/subsystems/$_") for grep { /^nqn\.2025-12\.io\.meshstor:/ } names("nvmet/ports/$port/subsystems");
  }
}

sub names {
  opendir(my $dir, $_[0]) or return ();
  return grep { !/^\./ } readdir($dir);
}

# Once nobody is left who could be told of success (L1), requests end: those of lost connections with them, those that wait
# above a suspended device with an error. Until the end: connections are lost when the network goes down, too.
sub let_go {
  select(undef, undef, undef, $POLL) until users_killed();
  say_to_kernel("users are killed: what is held ends");
  kill("USR1", getppid());
  my %deleted;
  while (1) {
    for my $v (values %volume) {
      for (grep { !is_live($_->{file}) } @{$v->{watch}}) {
        my $dir = "$sys/class/nvme/$_->{controller}";
        next if $deleted{$_->{nqn}} || (slurp("$dir/subsysnqn") // "") ne $_->{nqn};
        $deleted{$_->{nqn}} = 1;
        apart(sub { my $file; sysopen($file, "$dir/delete_controller", O_WRONLY) && syswrite($file, "1") });
      }
    }
    my %all = (%hold, %volume);
    for my $id (keys %all) {
      my $of = $all{$id};
      apart(sub { answer_errors($id, $of->{device}) }) if (attribute($of->{held}) // "") eq "1";
    }
    select(undef, undef, undef, $POLL);
    1 while waitpid(-1, POSIX::WNOHANG()) > 0;
  }
}

# What may wait is done by a process of its own.
sub apart {
  my $pid = fork();
  if (defined $pid && $pid == 0) { $_[0]->(); POSIX::_exit(0) }
}

# DM_TABLE_LOAD of one error target over the whole device, then DM_DEV_SUSPEND without its flag, which resumes.
sub answer_errors {
  my ($id, $device) = @_;
  my $sectors = slurp("$sys/class/block/$device/size") or return;
  my $head = sub { pack("L<4 L<2 l< L<3 Q< a128 a129 a7", 4, 0, 0, $_[0], 312, $_[1], 0, 0, 0, 0, 0, "", $id, "") };
  my $table = $head->(360, 1) . pack("Q< Q< l< L< a16 a8", 0, $sectors, 0, 0, "error", "");
  ioctl($control, 0xC138FD09, $table) or return;
  my $resume = $head->(312, 0);
  ioctl($control, 0xC138FD06, $resume);
}

# True once every process is killed but kernel threads, storage programs of the host (a title with @, which systemd spares), and
# systemd-shutdown's own. A title is not read of a process that waits in the kernel: the reader could wait with it.
sub users_killed {
  my $init = readlink("/proc/1/exe") // "";
  my $hosts = readlink("/proc/1/ns/mnt") // "";
  for my $pid (grep { /^\d+$/ && $_ != 1 } names("/proc")) {
    next if state("/proc/$pid") eq "kernel";
    my @left = grep { $_ ne "killed" } map { state("/proc/$pid/task/$_") } names("/proc/$pid/task");
    next if !@left || ($init ne "" && (readlink("/proc/$pid/exe") // "") eq $init);
    return 0 if (readlink("/proc/$pid/ns/mnt") // "") ne $hosts;
    next if (slurp("/proc/$pid/comm") // "") =~ /^\@meshstor-/;   # a suspend, or its probe, which wait for what is held
    return 0 if (grep { $_ eq "D" } @left) || (slurp("/proc/$pid/cmdline") // "") !~ /^\@/;
  }
  return 1;
}

# Of a thread: "killed" if it never returns to its program (gone, ending, or SIGKILL pending), "kernel" (PF_KTHREAD), or its state.
sub state {
  my ($dir) = @_;
  my $stat = slurp("$dir/stat") // return "killed";
  my ($state, $flags) = (split(/ /, $stat =~ s/^.*\) //sr))[0, 6];
  return "kernel" if $flags & 0x200000;
  return "killed" if $state =~ /[ZX]/ || $flags & 0x4;
  my $status = slurp("$dir/status") // return "killed";
  return $status =~ /^SigPnd:\s*[0-9a-f]*([0-9a-f])[0-9a-f]{2}$/m && hex($1) & 1 ? "killed" : $state;
}
`;
