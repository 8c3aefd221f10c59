import ArgumentParser
import Directory
import Foundation
import Mail
import Membership

/// The directory that commands change or ask, found by way of the configuration file.
struct DirectoryOption: ParsableArguments {
    @OptionGroup var file: ConfigurationOption

    /// The directory for a change; it is made if it is not there.
    func forChanges() throws -> SQLiteDirectory {
        let configuration = try file.load()
        let folder = (configuration.directory.path as NSString).deletingLastPathComponent
        try Folders.make(folder)
        return Self.directory(configuration)
    }

    /// The directory for a question. One that is not there is an error: an empty answer would be misleading.
    func forReading() throws -> SQLiteDirectory { try Self.forReading(file.load()) }

    static func forReading(_ configuration: ClusterConfiguration) throws -> SQLiteDirectory {
        let path = configuration.directory.path
        guard FileManager.default.fileExists(atPath: path) else {
            throw CommandFailure(
                "there is no directory \(path): 'hauberk domain add' makes one; "
                    + "if there should be one, look at HAUBERK_HOME and at directory.path in \(configuration.file)")
        }
        return directory(configuration)
    }

    private static func directory(_ configuration: ClusterConfiguration) -> SQLiteDirectory {
        var settings = Directory.DirectorySettings(path: configuration.directory.path)
        settings.defaultDomain = configuration.directory.defaultDomain
        settings.subaddressDelimiter = configuration.directory.subaddressDelimiter
        return SQLiteDirectory(settings: settings, access: .administration)
    }
}

/// Folders that commands write into.
enum Folders {
    static func make(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure("cannot make the folder \(path): \(error.localizedDescription)")
        }
    }
}

extension EmailAddress {
    /// For an argument: what is no address is a usage error.
    @Sendable
    static func argument(_ text: String) throws -> EmailAddress {
        guard let address = EmailAddress(text) else {
            throw ValidationError("an address looks like alice@example.test")
        }
        return address
    }
}
