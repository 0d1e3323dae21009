# SPDX-License-Identifier: GPL-3.0-or-later
# From what uci shows of network and firewall to a script for nft.

function unquoted(text) { gsub(/'/, "", text); return text }
function verdict(target) { return tolower(target) == "drop" ? "drop" : tolower(target) == "accept" ? "accept" : "reject" }
function ports(text) { gsub(/ +/, ", ", text); return "{ " text " }" }

{
    equals = index($0, "=")
    value = unquoted(substr($0, equals + 1))
    n = split(substr($0, 1, equals - 1), part, ".")
    section = part[1] "." part[2]
    if (n == 2) { kind[section] = value; order[++sections] = section }
    else option[section, part[3]] = value
}

END {
    print "table inet fw4\ndelete table inet fw4\ntable inet fw4 {"
    for (i = 1; i <= sections; i++) if (kind[order[i]] == "zone") {
        zone = option[order[i], "name"]
        print "chain input_" zone " {"
        for (j = 1; j <= sections; j++) {
            rule = order[j]
            if (kind[rule] != "rule" || option[rule, "src"] != zone || option[rule, "enabled"] == "0") continue
            m = split(option[rule, "proto"] == "" ? "tcp udp" : option[rule, "proto"], protocols, " ")
            for (k = 1; k <= m; k++) {
                text = protocols[k] == "icmp" ? "meta l4proto { icmp, ipv6-icmp }" : "meta l4proto " protocols[k]
                if (option[rule, "dest_port"] != "" && protocols[k] != "icmp")
                    text = protocols[k] " dport " ports(option[rule, "dest_port"])
                print text " counter " verdict(option[rule, "target"]) " comment \"!fw4: " option[rule, "name"] "\""
            }
        }
        print verdict(option[order[i], "input"]) "\n}"
    }
    for (i = 1; i <= sections; i++) if (kind[order[i]] == "defaults") policy = option[order[i], "input"]
    print "chain input {\ntype filter hook input priority filter; policy " (verdict(policy) == "accept" ? "accept" : "drop") ";"
    print "iifname \"lo\" accept\nct state established,related accept"
    for (i = 1; i <= sections; i++) if (kind[order[i]] == "zone") {
        m = split(option[order[i], "network"], networks, " ")
        for (k = 1; k <= m; k++) {
            device = option["network." networks[k], "device"]
            if (device != "") print "iifname \"" device "\" jump input_" option[order[i], "name"]
        }
    }
    print "}\n}"
}
