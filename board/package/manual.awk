# Makes a man page (man(7)) of the text of --help, or of trainyard.conf.
#
#   awk -v name=NAME -v section=N -v date=DATE -v version=VERSION -v also='NAME(N), …' -f manual.awk TEXT
#
# A text of --help begins with `NAME does …`. Lines of two blanks and the name are ways to call it, lines
# of two blanks and a hyphen are options. trainyard.conf begins with a comment about the whole; comments
# that follow belong to the `name = value` below them. Everything else is paragraphs.
function escape(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  while (match(text, /`[^`]*`/))
    text = substr(text, 1, RSTART - 1) "\\fB" substr(text, RSTART + 1, RLENGTH - 2) "\\fR" substr(text, RSTART + RLENGTH)
  if (text ~ /^[.']/) text = "\\&" text
  return text
}

# What stands before the first run of two blanks or more, and behind it.
function split_columns(line) {
  sub(/^ +/, "", line)
  if (match(line, /   */)) {
    tag = substr(line, 1, RSTART - 1)
    rest = substr(line, RSTART + RLENGTH)
  } else {
    tag = line
    rest = ""
  }
}

function add_paragraph() {
  if (paragraph == "") return
  if (summary == "") {
    summary = paragraph
    sub("^" name " ", "", summary)
    sub(/[.:]$/, "", summary)
    if (section == 5) paragraphs = paragraphs ".PP\n" escape(paragraph) "\n"
  } else paragraphs = paragraphs ".PP\n" escape(paragraph) "\n"
  paragraph = ""
}

function add_line(text) { paragraph = paragraph == "" ? text : paragraph " " text }

section == 5 && /^#[^ ]/ || section == 5 && /^[^# ]/ {
  # A name below a comment that is a setting's: comments so far are its text.
  sub(/^#/, "")
  options = options ".TP\n.B " escape($0) "\n" escape(paragraph) "\n"
  paragraph = ""
  next
}
section == 5 {
  sub(/^# ?/, "")
  if ($0 == "") { if (options == "") add_paragraph() } else add_line($0)
  next
}
/^Options:$/ { next }
/^ +-/ { split_columns($0); options = options ".TP\n.B " escape(tag) "\n" escape(rest) "\n"; in_options = 1; next }
/^    +[^ ]/ && in_options { sub(/^ +/, ""); options = options escape($0) "\n"; next }
$0 ~ "^  " name { split_columns($0); calls = calls ".TP\n.B " escape(tag) "\n" escape(rest) "\n"; next }
/^$/ { in_options = 0; add_paragraph(); next }
{ add_line($0) }

END {
  add_paragraph()
  if (summary == "" || options == "") {
    print "manual.awk: no summary or no options in the text of " name > "/dev/stderr"
    exit 1
  }
  print ".\\\" Made by manual.awk: change the text it was made of."
  printf ".TH %s %s \"%s\" \"trainyard %s\" \"\"\n", name, section, date, version
  printf ".SH NAME\n%s \\- %s\n", escape(name), escape(section == 5 ? "options of the trainyard file server" : summary)
  if (calls != "") printf ".SH SYNOPSIS\n%s", calls
  else printf ".SH SYNOPSIS\n.I /etc/%s\n", escape(name)
  printf ".SH DESCRIPTION\n%s.SH OPTIONS\n%s", paragraphs, options
  printf ".SH SEE ALSO\n%s\n", escape(also)
}
