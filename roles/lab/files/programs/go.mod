// SPDX-License-Identifier: GPL-3.0-or-later
// The lab's own programs: the web server that services are tried with, and the pause process of a pod.
module vipcast.lab/programs

go 1.22
