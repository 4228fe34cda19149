//! Prints a call's result before and after an update, and how many calls are direct.

fn main() -> anyhow::Result<()> {
    let before = tools::here(4);
    tools::KEY.update(tools::twice)?;
    let info = static_call::process_info();
    println!("{before} {}: {} of {}", tools::here(4), info.direct, info.sites);
    Ok(())
}
