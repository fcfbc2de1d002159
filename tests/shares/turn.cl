// SPDX-License-Identifier: GPL-2.0-or-later
// Computes for a while: a chain of so many dependent steps.
kernel void turn(global uint *a, uint turns)
{
	uint x = a[get_global_id(0)];

	for (uint i = 0; i < turns; i++)
		x = (x ^ i) * 1664525u + 1013904223u;
	a[get_global_id(0)] = x;
}
