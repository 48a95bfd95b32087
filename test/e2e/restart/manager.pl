#!/usr/bin/perl
# A service manager in small, as far as socket activation and sd_notify(3) go: binds sockets, and starts a program with them
# as descriptors 3, 4, ... It reaps what the program leaves behind, as process 1 would (a front's successor), so it hears how
# each process ended. Perl, because it can bind without accepting, fork and exec, and is there on every Debian (perl-base).
#
#   manager.pl NOTIFY ADDRESS:PORT... -- PROGRAM ARGUMENT...
#
# Each line `start` on its standard input starts the program (`startNN` passes the first NN sockets only); it prints
# `started PID`, `notify STATE`, `ended PID STATUS` (code, or a signal as 128 and its number). At the end of its input it ends.
use strict;
use warnings;
use Fcntl qw(F_DUPFD);
use POSIX qw(:sys_wait_h dup2);
use Socket qw(:all);

my $PR_SET_CHILD_SUBREAPER = 36;
my %SYS_PRCTL = (x86_64 => 157, aarch64 => 167);
my $BACKLOG = 64;

$| = 1;
my $notify_path = shift @ARGV;
my @addresses;
push @addresses, shift @ARGV while @ARGV && $ARGV[0] ne '--';
shift @ARGV;

my ($machine) = (POSIX::uname())[4];
syscall($SYS_PRCTL{$machine}, $PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 or die "prctl: $!";
socket(my $notify, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($notify, pack_sockaddr_un($notify_path)) or die "bind $notify_path: $!";
my @sockets = map { listener($_) } @addresses;

sub listener {
    my ($host, $port) = $_[0] =~ /^\[?([^\]]+?)\]?:(\d+)$/ or die "bad address $_[0]";
    my $family = $host =~ /:/ ? AF_INET6 : AF_INET;
    my $name = $family == AF_INET ? pack_sockaddr_in($port, inet_aton($host)) : pack_sockaddr_in6($port, inet_pton(AF_INET6, $host));
    socket(my $socket, $family, SOCK_STREAM, 0) or die "socket: $!";
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) or die "SO_REUSEADDR: $!";
    bind($socket, $name) or die "bind $_[0]: $!";
    listen($socket, $BACKLOG) or die "listen $_[0]: $!";
    return $socket;
}

sub start {
    my @passed = @sockets[0 .. $_[0] - 1];
    defined(my $pid = fork) or die "fork: $!";
    if ($pid != 0) {
        print "started $pid\n";
        return;
    }
    # First out of the way of the descriptors that they are to have.
    my @high = map { fcntl($_, F_DUPFD, 100) } @passed;
    my $next = 3;
    dup2($_, $next++) or die "dup2: $!" for @high;
    POSIX::close($_) for $next .. 200;
    open(STDIN, '<', '/dev/null') or die "null: $!";
    $ENV{LISTEN_PID} = $$;
    $ENV{LISTEN_FDS} = scalar @passed;
    $ENV{LISTEN_FDNAMES} = join ':', ('baton-front.socket') x @passed;
    $ENV{NOTIFY_SOCKET} = $notify_path;
    exec @ARGV or die "exec $ARGV[0]: $!";
}

print "ready\n";
my $commands = '';
while (1) {
    my $readable = '';
    vec($readable, fileno(STDIN), 1) = 1;
    vec($readable, fileno($notify), 1) = 1;
    # The time limit is for children that end between two calls.
    my $found = select($readable, undef, undef, 0.05);
    if ($found > 0 && vec($readable, fileno($notify), 1)) {
        recv($notify, my $state, 4096, 0);
        print "notify $state\n";
    }
    if ($found > 0 && vec($readable, fileno(STDIN), 1)) {
        my $read = sysread(STDIN, $commands, 4096, length $commands);
        exit 0 unless $read;
        start($1 eq '' ? scalar @sockets : $1) while $commands =~ s/^start(\d*)\n//;
    }
    while ((my $pid = waitpid(-1, WNOHANG)) > 0) {
        my $status = WIFEXITED($?) ? WEXITSTATUS($?) : 128 + WTERMSIG($?);
        print "ended $pid $status\n";
    }
}
