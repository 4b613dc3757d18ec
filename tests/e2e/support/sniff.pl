# Prints the mark of each frame that comes in at an interface: `<round:name>`. For as long as it is let run.
use strict;
use Socket;
$| = 1;
my ($interface) = @ARGV;
open(my $file, "<", "/sys/class/net/$interface/ifindex") or die "no interface $interface: $!";
chomp(my $index = <$file>);
socket(my $link, 17, SOCK_RAW, unpack("S", pack("n", 3))) or die "socket: $!";
bind($link, pack("S n l S C C a8", 17, 3, $index, 0, 0, 0, "")) or die "bind: $!";
print "listening\n";
while (defined recv($link, my $frame, 65535, 0)) {
  print "$1\n" if $frame =~ /<([\w:.-]+)>/;
}
