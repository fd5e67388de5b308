# The command that was typed; client where it is an address; nothing before either.
function __pingpong_command
    set -l words (commandline -opc)
    set -l value

    set -e words[1]
    for word in $words
        if set -q value[1]
            set -e value
        else if contains -- $word $__pingpong_valued
            set value $word
        else if contains -- $word $__pingpong_commands
            echo $word
            return
        else if not string match -q -- '-*' $word
            echo client
            return
        end
    end
    echo none
end

# Whether the command is one of these.
function __pingpong_for
    contains -- (__pingpong_command) $argv
end

# Paths that go on with what stands behind the = of an option.
function __pingpong_paths
    __fish_complete_path (string replace -r -- '^-[^=]*=' '' (commandline -ct))
end

# Hosts; behind unix: paths.
function __pingpong_addresses
    set -l path (string replace -rf -- '^(-[^=]*=)?unix:' '' (commandline -ct))

    if set -q path[1]
        printf 'unix:%s\n' (__fish_complete_path $path)
    else
        __fish_print_hostnames
    end
end

complete -c pingpong -f
complete -c pingpong -n "__pingpong_for none $__pingpong_addressed" -a '(__pingpong_addresses)'
