//! Compiles the contract: message types, service traits and clients, and the descriptor set with its options.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut files = Vec::new();
    for package in ["common", "identity", "tokens", "inventory", "imports", "billing"] {
        for entry in std::fs::read_dir(root.join(package).join("v1"))? {
            files.push(format!("{package}/v1/{}", entry?.file_name().to_string_lossy()));
        }
    }
    files.sort();
    println!("cargo:rerun-if-changed={}", root.display());

    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(&files)?;

    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    // Encoded by protox itself: a decode through prost-types would drop the custom options.
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    let descriptors = compiler.file_descriptor_set();
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .codec_path("crate::codec::BoundedCodec")
        .bytes(".portolan.imports.v1.CreateImportRequest.content")
        // Kept as JSON until it is delivered.
        .type_attribute(
            ".portolan.identity.v1.AuditEvent",
            "#[derive(serde::Serialize, serde::Deserialize)] #[serde(default)]",
        )
        .type_attribute(
            ".portolan.common.v1.Notice",
            "#[derive(serde::Serialize, serde::Deserialize)] #[serde(default)]",
        )
        .type_attribute(
            ".portolan.common.v1.NoticeLine",
            "#[derive(serde::Serialize, serde::Deserialize)] #[serde(default)]",
        )
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
