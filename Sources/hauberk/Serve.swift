import ArgumentParser

/// Runs processes of the cluster in the foreground.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a process of the cluster, or all of them, in the foreground.")

    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        _ = try file.load()
    }
}
