//! `suzerain explain`: asks a running router's admin socket what a request for a URL would get.

use super::arguments::ExplainArgs;
use super::ask::{Admin, AskError, percent_encoded};

/// The router's answer.
pub fn ask(args: &ExplainArgs) -> Result<String, AskError> {
    let admin = Admin::new(&args.admin, args.token_file.as_deref())?;
    let format = if args.json { "json" } else { "text" };
    let target = format!("/explain?format={format}&url={}", percent_encoded(&args.url));
    let mut answer = admin.ask(&target)?;
    if !answer.ends_with('\n') {
        answer.push('\n');
    }
    Ok(answer)
}
