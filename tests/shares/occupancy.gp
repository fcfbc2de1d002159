# SPDX-License-Identifier: GPL-2.0-or-later
# Occupancy over time: who had the device, stacked, and dashed what was promised.
# report.py names the terminal, the output, the files data and promised, and the moments of change.

set title "Occupancy of one device, three tenants, limits changed while they run" font ",15"
set xlabel "virtual time, s"
set ylabel "part of the device's time, %"
set xrange [0:12]
set yrange [0:119]
set xtics 1
set ytics 0, 10, 100
set grid xtics ytics front linetype 0 linecolor rgb "#888888"
set key outside below horizontal maxrows 1 Left reverse samplen 2 width 2
set style fill solid 0.85 noborder
set tics front

plot data using 1:4:5 with filledcurves linecolor rgb "#4daf8a" \
	title "c: weight 10, floor 30 %", \
     data using 1:3:4 with filledcurves linecolor rgb "#f2a65a" \
	title "b: weight 100, then 900, then capped", \
     data using 1:2:3 with filledcurves linecolor rgb "#5b8ec9" title "a: weight 100", \
     promised using 1:2 with lines linewidth 2 dashtype 2 linecolor rgb "black" title "promised", \
     promised using 1:3 with lines linewidth 2 dashtype 2 linecolor rgb "black" notitle
