//! Compiles the protobuf files without a system protoc.
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let files = [
        "handshake",
        "refusal",
        "trace",
        "sequencer",
        "admin",
        "unit",
        "record",
        "materializer",
        "figures",
    ]
    .map(|name| format!("proto/{name}.proto"));
    for file in &files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(&files, ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
