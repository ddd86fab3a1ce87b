# Makes a changelog of Debian (deb-changelog(5)) of CHANGELOG.md.
#
#   awk -v version=VERSION -v maintainer='NAME <ADDRESS>' -v date='DATE as in RFC 5322' -f changelog.awk CHANGELOG.md
#
# `## Unreleased` is the version that is packaged. A line that begins with a hyphen is a change, and those
# below it that begin with blanks go with it.
# end_change: adds it in lines of at most 80 columns, as they have it there.
function end_change(   words, count, i, line) {
  if (change == "") return
  count = split(change, words, " ")
  line = "  *"
  for (i = 1; i <= count; i++) {
    if (length(line " " words[i]) > 80) {
      entry = entry line "\n"
      line = "   "
    }
    line = line " " words[i]
  }
  entry = entry line "\n"
  change = ""
}
function end_entry() {
  end_change()
  if (entry == "") return
  printf "%s\n -- %s  %s\n\n", entry, maintainer, date
  entry = ""
}
/^## / {
  end_entry()
  entry = sprintf("trainyard (%s) stable; urgency=medium\n\n", $2 == "Unreleased" ? version : $2 "-1")
  next
}
entry == "" { next }
/^- / { end_change(); sub(/^- /, ""); change = $0; next }
/^ +[^ ]/ && change != "" { sub(/^ +/, ""); change = change " " $0; next }
{ end_change() }
END {
  end_change()
  if (entry == "") {
    print "changelog.awk: no `## VERSION` in the text" > "/dev/stderr"
    exit 1
  }
  end_entry()
}
