import DurableFiles
import Etcd
import Foundation
import Membership

/// The text that says who is in the cluster, for commands that change it: the configuration file, or what etcd keeps.
struct ClusterFile {
    let configuration: ClusterConfiguration
    private let place: Place
    private let text: String

    private enum Place {
        case file(String)
        /// With the revision that a change must name.
        case etcd(key: String, revision: Int64)
    }

    init(_ option: ConfigurationOption) async throws {
        let written = try option.load()
        guard written.membership.kind == .etcd else {
            let path = URL(fileURLWithPath: option.file).resolvingSymlinksInPath().path
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw CommandFailure("\(path) cannot be read as UTF-8")
            }
            (configuration, place, self.text) = (written, .file(path), text)
            return
        }
        let (version, key) = try await EtcdMembership.with(written) { (try await $0.present(), $0.key) }
        do throws(ConfigurationError) {
            configuration = try written.adopting(membership: version.text, origin: key)
        } catch {
            throw CommandFailure("\(error)")
        }
        place = .etcd(key: key, revision: version.revision)
        text = version.text
    }

    /// What is to be done after a change, so that every process hears of it.
    var afterwards: String {
        switch place {
        case .file: "Give every machine the file, and send SIGHUP to all storage nodes, then to all frontends.\n"
        case .etcd: "etcd tells all processes.\n"
        }
    }

    private var name: String {
        switch place {
        case .file(let path): path
        case .etcd(let key, _): "etcd's \(key)"
        }
    }

    /// Changes the text and writes it, if it then says exactly what was meant and is a valid configuration.
    ///
    /// - Parameter byHand: what to write into the file where this program cannot.
    func change(
        to expected: ClusterConfiguration, byHand: String, _ body: (inout ConfigurationText) throws -> Void
    ) async throws {
        var changed = ConfigurationText(text)
        let new: ClusterConfiguration
        do {
            try body(&changed)
            new = try read(changed.text)
        } catch let error as ConfigurationError {
            throw CommandFailure("\(error)")
        } catch {
            throw CommandFailure("\(name) is not written in a way that can be changed here: \(error)\n\(byHand)")
        }
        var expected = expected
        expected.resolve()
        let difference = ReloadDifference(from: expected, to: new)
        guard difference.isEmpty else {
            let lines = (difference.live + difference.restart).joined(separator: "\n")
            throw CommandFailure(
                "\(name) is not written in a way that can be changed here; this would be wrong:\n\(lines)\n\(byHand)")
        }
        switch place {
        case .file(let path):
            do throws(DurableFileError) {
                try DurableFile.write(changed.text, to: path, mode: Self.rights(of: path), replacing: true)
            } catch {
                throw CommandFailure("\(error)")
            }
        case .etcd(let key, let revision):
            let swap = try await EtcdMembership.with(configuration) { membership in
                try await membership.replace(changed.text, expecting: revision)
            }
            guard case .won = swap else {
                throw CommandFailure(
                    "somebody else changed \(key) meanwhile: nothing was changed, look at it and try again")
            }
        }
    }

    private func read(_ text: String) throws -> ClusterConfiguration {
        switch place {
        case .file(let path):
            try ClusterConfiguration.parse(
                text, file: path, environment: ClusterConfiguration.processEnvironment())
        case .etcd(let key, _): try configuration.adopting(membership: text, origin: key)
        }
    }

    /// Those that the file has.
    private static func rights(of path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o7777 : 0o644
    }
}

extension EtcdMembership {
    /// The membership that is there; nobody else says who is in the cluster.
    func present() async throws -> Version {
        let version: Version?
        do {
            version = try await read()
        } catch {
            throw CommandFailure("\(error)")
        }
        guard let version else {
            throw CommandFailure("etcd has no membership under \(key): 'hauberk membership init' puts one there")
        }
        return version
    }
}

extension ConfigurationOption {
    /// The configuration with the members of now: the file's, or etcd's.
    func loadWithMembers() async throws -> ClusterConfiguration { try await ClusterFile(self).configuration }
}
