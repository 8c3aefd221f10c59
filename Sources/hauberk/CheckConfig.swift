import ArgumentParser
import Membership

/// Reads a configuration file as `serve` would, and starts nothing.
struct CheckConfig: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Check a configuration file: a summary of it, or all that is wrong with it.",
        discussion: """
            Problems are printed a line each, as file:line:column, and the exit status is then 1. Warnings, of what \
            works today, do not change the status.

              hauberk check-config cluster-config/dev.yaml
            """)

    @Argument(help: "The file (default: as --config).", completion: .file(extensions: ["yaml"]))
    var path: String?

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    func validate() throws {
        if path != nil, file.path != nil { throw ValidationError("Give the file once: as argument or by --config.") }
    }

    func run() async throws {
        let configuration: ClusterConfiguration
        do throws(ConfigurationError) {
            configuration = try ClusterConfiguration.load(path: path ?? file.file)
        } catch {
            try tell(error)
            throw ExitCode.failure
        }
        let view = ConfigurationView(configuration)
        try output.show(view, view.text)
        if !output.isJSON { for warning in configuration.warnings { note("warning: \(warning)") } }
    }

    private func tell(_ error: ConfigurationError) throws {
        if output.isJSON { return try output.show(ProblemsView(error), "") }
        let count = error.problems.count
        note("\(error)\n\(count == 1 ? "1 problem" : "\(count) problems")")
    }
}
