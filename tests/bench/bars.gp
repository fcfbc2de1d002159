# SPDX-License-Identifier: GPL-2.0-or-later
# Ours and the peer's, two bars for each row. report.py names the terminal, the output, data, what,
# unit and how many rows.

set title what font ",15"
set xlabel unit
set yrange [rows - 0.3:-0.7]
set xrange [0:*]
set offsets 0, graph 0.12, 0, 0
set ytics nomirror scale 0
set grid xtics linetype 0 linecolor rgb "#888888"
set key outside below horizontal Left reverse samplen 2 width 2
set style fill solid 0.85 noborder
set lmargin 60

plot data using ($2 / 2):($0 - 0.18):($2 / 2):(0.16):ytic(1) with boxxyerror linecolor rgb "#4daf8a" \
	title "Infini", \
     data using ($3 / 2):($0 + 0.18):($3 / 2):(0.16) with boxxyerror linecolor rgb "#f2a65a" \
	title "peer", \
     data using 2:($0 - 0.18):(sprintf("  %.4g", $2)) with labels left notitle, \
     data using 3:($0 + 0.18):(sprintf("  %.4g", $3)) with labels left notitle
