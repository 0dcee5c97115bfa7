"""`whence completion`: the script that makes a shell complete verbs, options and references."""

import click

from whence.cli.options import Where, verb


@verb(
    'eval "$(whence completion bash)"                                  in ~/.bashrc',
    'eval "$(whence completion zsh)"                                   in ~/.zshrc',
    "whence completion fish > ~/.config/fish/completions/whence.fish",
    short_help="Tab completion for bash, zsh and fish.",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, where: Where, shell: str) -> None:
    """Print the script that makes SHELL complete verbs, options, tasks, agents and channels."""
    from click.shell_completion import get_completion_class

    from whence.cli.app import app

    program = context.find_root().info_name or "whence"
    kind = get_completion_class(shell)
    assert kind is not None
    completion = kind(app, {}, program, f"_{program.upper()}_COMPLETE")
    where.screen.show(completion.source().splitlines())
