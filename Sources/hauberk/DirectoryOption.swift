import ArgumentParser
import Directory
import Foundation
import Mail
import Membership
import SMTP

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
        SQLiteDirectory(settings: Directory.DirectorySettings(configuration.directory), access: .administration)
    }
}

extension Directory.DirectorySettings {
    /// What the configuration says of the directory.
    init(_ configuration: Membership.DirectorySettings) {
        self.init(path: configuration.path)
        defaultDomain = configuration.defaultDomain
        subaddressDelimiter = configuration.subaddressDelimiter
        passwordCacheLifetime = configuration.passwordCacheLifetime
        passwordScheme = PasswordScheme(rawValue: configuration.passwordScheme.rawValue) ?? .yescrypt
        scramIterations = configuration.scramIterations
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
        guard let address = text.hasPrefix("\"") ? quoted(text) : EmailAddress(text) else {
            throw ValidationError("an address looks like alice@example.test")
        }
        return address
    }

    /// Takes `"a b"@example.test`, as addresses are printed whose local part needs quotes (RFC 5321 §4.1.2).
    private static func quoted(_ text: String) -> EmailAddress? {
        let path = Array("<\(text)>".utf8)
        return path.withUnsafeBytes { bytes in
            guard case (.address(let address), path.count)? = SMTPPath.parse(bytes) else { return nil }
            return address
        }
    }
}
