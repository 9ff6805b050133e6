//! Man pages and shell completions, made from the declarations of the command line.
//!
//! A hidden command writes them, so that a package is made by the program it contains and none of them
//! can be older than it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;

/// The hidden command.
pub const NAME: &str = "package-files";

/// Declares it.
#[must_use]
pub fn command() -> Command {
    let folder = Arg::new("folder").value_name("DIR").required(true);
    let folder = folder.value_parser(clap::value_parser!(PathBuf));
    Command::new(NAME)
        .about("Write man pages and shell completions into a directory, for packages")
        .hide(true)
        .arg(folder)
}

/// Writes what belongs to `program` into the folder that `flags` name.
///
/// # Errors
/// If the folder cannot be written to.
pub fn write(program: Command, flags: &ArgMatches) -> io::Result<()> {
    let none = PathBuf::new();
    let folder = flags.get_one::<PathBuf>("folder").unwrap_or(&none);
    write_into(program, folder)
}

fn write_into(mut program: Command, folder: &Path) -> io::Result<()> {
    let (pages, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&pages)?;
    fs::create_dir_all(&completions)?;
    let name = program.get_name().to_owned();
    // Completions offer no command that people have no use for.
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut program.clone(), &name, &completions)?;
    }
    program.build();
    page(&program, &name, &pages)?;
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        page(command, &format!("{name}-{}", command.get_name()), &pages)?;
    }
    Ok(())
}

fn page(command: &Command, title: &str, folder: &Path) -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).title(title.to_uppercase()).render(&mut page)?;
    // The only text behind the options are examples.
    let page = String::from_utf8_lossy(&page).replace(".SH EXTRA\nExamples:", ".SH EXAMPLES");
    fs::write(folder.join(format!("{title}.1")), page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_every_shell_its_completions() {
        let folder = tempfile::tempdir().unwrap();
        let program = super::super::arguments::command();
        let visible = program.get_subcommands().filter(|command| !command.is_hide_set());
        let mut wanted: Vec<_> =
            visible.map(|command| format!("suzerain-{}.1", command.get_name())).collect();
        wanted.push("suzerain.1".to_owned());
        write_into(program, folder.path()).unwrap();
        for name in wanted {
            let page = fs::read_to_string(folder.path().join("man").join(&name)).unwrap();
            let title = name.trim_end_matches(".1");
            assert!(page.contains(&format!(".TH {}", title.to_uppercase())), "{name}: {page}");
            assert!(page.contains(&title.replace('-', "\\-")), "{name}: {page}");
        }
        let page = fs::read_to_string(folder.path().join("man/suzerain-run.1")).unwrap();
        for text in ["\\-\\-sign\\-check", ".SH EXAMPLES", "\\-\\-config"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        for name in ["suzerain.bash", "_suzerain", "suzerain.fish"] {
            let text = fs::read_to_string(folder.path().join("completions").join(name)).unwrap();
            assert!(text.contains("sign-check"), "{name}");
        }
    }
}
