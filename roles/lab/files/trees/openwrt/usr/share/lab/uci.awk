# SPDX-License-Identifier: GPL-3.0-or-later
# The inside of the stand-in for uci: reads a file of configuration, applies the changes on standard input, and does a verb.

# The words of a line: apart by blanks, in quotes or not. A # begins a comment.
function split_words(line, words,    n, i, c, quote, word, open) {
    n = 0; quote = ""; word = ""; open = 0
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        if (quote != "") {
            if (c == quote) quote = ""
            else word = word c
        } else if (c == "'" || c == "\"") { quote = c; open = 1 }
        else if (c == "\\") { i++; word = word substr(line, i, 1); open = 1 }
        else if (c == "#" && !open) break
        else if (c == " " || c == "\t") {
            if (open) words[++n] = word
            word = ""; open = 0
        } else { word = word c; open = 1 }
    }
    if (open) words[++n] = word
    return n
}

function add_section(kind, name) {
    sections++
    type[sections] = kind; called[sections] = name; options[sections] = 0; alive[sections] = 1
    return sections
}

function option_of(s, name,    i) {
    for (i = 1; i <= options[s]; i++) if (option_name[s, i] == name) return i
    return 0
}

function put(s, name, text, list,    i) {
    i = option_of(s, name)
    if (!i) { i = ++options[s]; option_name[s, i] = name; values[s, i] = 0 }
    if (!list || !is_list[s, i]) values[s, i] = 0
    is_list[s, i] = list
    option_value[s, i, ++values[s, i]] = text
}

function take(s, name,    i, j) {
    i = option_of(s, name)
    if (!i) return
    for (; i < options[s]; i++) {
        option_name[s, i] = option_name[s, i + 1]; is_list[s, i] = is_list[s, i + 1]; values[s, i] = values[s, i + 1]
        for (j = 1; j <= values[s, i]; j++) option_value[s, i, j] = option_value[s, i + 1, j]
    }
    options[s]--
}

# A section by its name, or by its type and place: @rule[0], @rule[-1] for the last.
function find(name,    s, kind, place, seen, count) {
    if (substr(name, 1, 1) != "@") {
        for (s = 1; s <= sections; s++) if (alive[s] && called[s] == name) return s
        return 0
    }
    kind = substr(name, 2, index(name, "[") - 2)
    place = substr(name, index(name, "[") + 1) + 0
    for (s = 1; s <= sections; s++) if (alive[s] && type[s] == kind) count++
    if (place < 0) place += count
    for (s = 1; s <= sections; s++) if (alive[s] && type[s] == kind && seen++ == place) return s
    return 0
}

function quoted(text) { gsub(/'/, "'\\''", text); return "'" text "'" }

function shown(s, i,    j, text) {
    for (j = 1; j <= values[s, i]; j++) text = text (j > 1 ? " " : "") quoted(option_value[s, i, j])
    return text
}

function show_section(s, name,    i) {
    print config "." name "=" type[s]
    for (i = 1; i <= options[s]; i++) print config "." name "." option_name[s, i] "=" shown(s, i)
}

function show_all(    s, place, name) {
    for (s = 1; s <= sections; s++) if (alive[s]) {
        name = called[s] != "" ? called[s] : "@" type[s] "[" place[type[s]]+0 "]"
        place[type[s]]++
        show_section(s, name)
    }
}

function export_all(    s, i, j) {
    for (s = 1; s <= sections; s++) if (alive[s]) {
        print "\nconfig " type[s] (called[s] != "" ? " " quoted(called[s]) : "")
        for (i = 1; i <= options[s]; i++) for (j = 1; j <= values[s, i]; j++)
            print "\t" (is_list[s, i] ? "list " : "option ") option_name[s, i] " " quoted(option_value[s, i, j])
    }
    print ""
}

function change(line,    parts, n, words, s, equals) {
    if (substr(line, 1, 1) == "-") {
        n = split(substr(line, 2), parts, ".")
        s = find(parts[2])
        if (s && n == 2) alive[s] = 0
        else if (s) take(s, parts[3])
        return
    }
    equals = index(line, "=")
    n = split(substr(line, 1, equals - 1), parts, ".")
    split_words(substr(line, equals + 1), words)
    s = find(parts[2])
    if (n == 2) { if (s) type[s] = words[1]; else add_section(words[1], parts[2]) }
    else if (s) put(s, parts[3], words[1], 0)
}

BEGIN {
    while ((getline line < file) > 0) {
        delete words
        n = split_words(line, words)
        if (words[1] == "config") current = add_section(words[2], n > 2 ? words[3] : "")
        else if (words[1] == "option") put(current, words[2], words[3], 0)
        else if (words[1] == "list") put(current, words[2], words[3], 1)
    }
}

{ change($0) }

END {
    n = split(key, parts, ".")
    s = n > 1 ? find(parts[2]) : 0
    i = s && n > 2 ? option_of(s, parts[3]) : 0
    if (verb == "export") { export_all(); exit 0 }
    if (verb == "section") exit !s
    if (verb == "there") exit !(n > 2 ? i : s)
    if (verb == "show" && n == 1) { show_all(); exit 0 }
    if (!s || (n > 2 && !i)) exit 1
    if (verb == "show" && n == 2) show_section(s, parts[2])
    else if (verb == "show") print key "=" shown(s, i)
    else if (n == 2) print type[s]
    else for (j = 1; j <= values[s, i]; j++) printf "%s%s", option_value[s, i, j], j < values[s, i] ? " " : "\n"
}
