#!/usr/bin/env perl
# Prints scripts_table.h: the script of every character of Unicode 9, which is what the reference's UnicodeScripts knows. From perl's own
# Unicode tables (any perl of Unicode 9 or later); four characters have moved to another script since.
use strict;
use warnings;
use Unicode::UCD qw(prop_invmap);

my %moved = (0x589 => 'Common', 0x61C => 'Common', 0x953 => 'Devanagari', 0x954 => 'Devanagari');
my ($starts, $scripts) = prop_invmap('Script');
my ($age_starts, $ages) = prop_invmap('Age');

sub lookup {
    my ($list, $values, $c) = @_;
    my ($low, $high) = (0, $#$list);
    while ($low < $high) {
        my $middle = int(($low + $high + 1) / 2);
        if ($list->[$middle] <= $c) { $low = $middle } else { $high = $middle - 1 }
    }
    return $values->[$low];
}

my %points = map { $_ => 1 } grep { $_ < 0x110000 } @$starts, @$age_starts, map { ($_, $_ + 1) } keys %moved;
my (%number, @ranges);
$number{'Any'} = 0;
for my $c (sort { $a <=> $b } keys %points) {
    my ($age) = lookup($age_starts, $ages, $c) =~ /^V?(\d+)/;
    my $script = $moved{$c} // lookup($starts, $scripts, $c);
    $script = 'Any' if !defined $age || $age > 9 || $script eq 'Unknown';
    $number{$script} //= scalar keys %number;
    push @ranges, [$c, $script] if !@ranges || $ranges[-1][1] ne $script;
}
print "/* Made by scripts_table.pl: where a stretch of one script begins, << 8 | the script; 0: none. Unicode 9. */\n";
for my $name (qw(Han Hiragana Katakana)) {
    print "#define SCRIPT_", uc $name, " $number{$name}u\n";
}
print "static const uint32_t scripts[] = {\n";
my $line = '   ';
for (@ranges) {
    my $item = sprintf ' 0x%X,', $_->[0] << 8 | $number{$_->[1]};
    if (length($line) + length($item) > 126) { print "$line\n"; $line = '   ' }
    $line .= $item;
}
print "$line\n};\n";
