import ArgumentParser
import Foundation
import Membership

/// Which configuration file a command works on.
struct ConfigurationOption: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: "The cluster's configuration file (default: $HAUBERK_CONFIG, else cluster-config/dev.yaml).")
    var path: String?

    /// The file's path, as it was given.
    var file: String { path ?? Self.defaultPath }

    /// Reads the file; everything that is wrong with it is told at once, a line each.
    func load() throws -> ClusterConfiguration {
        do throws(ConfigurationError) {
            return try ClusterConfiguration.load(path: file)
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    private static var defaultPath: String {
        ProcessInfo.processInfo.environment["HAUBERK_CONFIG"] ?? "cluster-config/dev.yaml"
    }
}

/// A command that cannot do what it was asked: what is wrong, and what to do. Printed after "Error: ", exit status 1.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
