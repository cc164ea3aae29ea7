# Sourced by deploy/install: files are laid down, and taken away again, by one list; what is ours is known by its digest.
# shellcheck shell=bash
# $notes holds what is remembered between runs:
#   files         "DIGEST PATH" of each that is ours
#   directories   those that were made for them, the outer ones first
#   begun         of both, what a run has made that has not come to its end (a power cut): "DIGEST PATH" or "directory PATH"
#   options, and what other parts of deploy/install write there

declare -A ours=() # path → digest of what we wrote there
directories=()
refreshed=() # paths that this run has written or removed

read_notes() {
    local digest path
    if [ -e "$notes/files" ]; then
        while read -r digest path; do ours[$path]=$digest; done <"$notes/files"
    fi
    if [ -e "$notes/directories" ]; then mapfile -t directories <"$notes/directories"; fi
    [ -e "$notes/begun" ] || return 0
    while read -r digest path; do
        if [ "$digest" = directory ]; then
            [[ " ${directories[*]} " == *" $path "* ]] || directories+=("$path")
        elif [ "$(digest_of "$into$path")" = "$digest" ]; then
            ours[$path]=$digest
        fi
    done <"$notes/begun"
}

# begin DIGEST PATH: it is ours as soon as it is there.
begin() {
    mkdir -p "$notes"
    echo "$1 $2" >>"$notes/begun"
}

# Written only when something is different: a run without changes changes no time of any file either.
write_notes() {
    [ -n "$dry" ] && return
    mkdir -p "$notes"
    write_note files "$(for path in "${!ours[@]}"; do echo "${ours[$path]} $path"; done | LC_ALL=C sort -k2)"
    write_note directories "$(printf '%s\n' "${directories[@]}")"
    write_note options "$(for key in name policy kiosk usb-guard; do
        if [ -n "${option[$key]-}" ]; then echo "$key=${option[$key]}"; fi
    done)"
    sync -f "$notes"
    rm -f "$notes/begun"
}

# Whole or not at all: of half a note, a later run would make that somebody had changed all the rest.
write_note() {
    [ "$(cat "$notes/$1" 2>/dev/null)" != "$2" ] || return 0
    echo "$2" >"$notes/$1.new"
    sync "$notes/$1.new"
    mv "$notes/$1.new" "$notes/$1"
}

# lay_down LINE…: each "SOURCE<tab>TARGET" is to be there, and nothing else of ours.
lay_down() {
    local line source target digest there
    local -A wanted=()
    for line in "$@"; do
        IFS=$'\t' read -r source target <<<"$line"
        wanted[$target]=yes
        digest=$(digest_of_source "$source")
        there=$(digest_of "$into$target")
        if [ "$there" = "$digest" ]; then
            ours[$target]=$digest
        elif [ "$there" = none ] || [ "$there" = "${ours[$target]-}" ]; then
            change "Writing $target" write "$source" "$target" "$digest"
        else
            notices+=("Left as it is, somebody has changed it: $target")
        fi
    done
    while IFS= read -r target; do
        if [ -n "$target" ] && [ -z "${wanted[$target]-}" ]; then take_away "$target"; fi
    done < <(printf '%s\n' "${!ours[@]}" | LC_ALL=C sort)
    remove_directories
}

take_away() {
    case $(digest_of "$into$1") in
    none) unset "ours[$1]" ;;
    "${ours[$1]}") change "Removing $1" remove "$1" ;;
    *)
        notices+=("Left as it is, somebody has changed it: $1")
        [ -n "$dry" ] || unset "ours[$1]"
        ;;
    esac
}

# Whole or not at all, and known for ours: what a power cut leaves half, nobody would dare to replace.
write() {
    make_room "$(dirname "$2")"
    begin "$3" "$2"
    if [ -L "$1" ]; then
        cp --no-dereference --remove-destination "$1" "$into$2"
    else
        rendered "$1" >"$into$2.new"
        chmod "$([ -x "$1" ] && echo 755 || echo 644)" "$into$2.new"
        sync "$notes/begun" "$into$2.new"
        mv "$into$2.new" "$into$2"
    fi
    ours[$2]=$3
    refreshed+=("$2")
}

remove() {
    if [[ $1 == */system/*.@(service|socket|timer) ]] && [ ! -L "$into$1" ]; then
        local unit=${1##*/}
        systemctl ${into:+--root="$into"} --quiet disable "$unit" 2>/dev/null || true
        if booted && [[ $unit != *@.* ]]; then systemctl stop "$unit" || true; fi
    fi
    rm "$into$1"
    unset "ours[$1]"
    refreshed+=("$1")
}

# A file as it is laid down: with the directory where the program is.
rendered() { sed "s|/opt/restore-station|$prefix|g" "$1"; }

digest_of_source() {
    if [ -L "$1" ]; then digest_of "$1"; else rendered "$1" | sha256sum | head -c 64; fi
}

# A word that no other content has; none: nothing is there.
digest_of() {
    if [ -L "$1" ]; then
        echo "link-to-$(readlink "$1")"
    elif [ -e "$1" ]; then
        sha256sum <"$1" | head -c 64
    else
        echo none
    fi
}

# Directories that are not there yet, and a note of each.
make_room() {
    [ -d "$into$1" ] && return
    make_room "$(dirname "$1")"
    begin directory "$1"
    mkdir "$into$1"
    directories+=("$1")
}

# Those that were made, if nothing is in them any more.
remove_directories() {
    [ -n "$dry" ] && return
    local kept=() index directory
    for ((index = ${#directories[@]} - 1; index >= 0; index--)); do
        directory=${directories[index]}
        [ -z "$directory" ] || [ ! -d "$into$directory" ] || rmdir "$into$directory" 2>/dev/null || kept=("$directory" "${kept[@]}")
    done
    directories=("${kept[@]}")
}
