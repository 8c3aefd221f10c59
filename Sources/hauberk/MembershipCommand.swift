import ArgumentParser
import Etcd
import Membership

/// `membership`: who is in the cluster, as etcd keeps it.
struct MembershipCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "membership",
        abstract: "Found and show the membership that etcd keeps (membership.kind: etcd).",
        discussion: """
            The membership is one text in YAML: the keys nodes and cluster.epochs of the configuration file.

              hauberk membership init
              hauberk membership show
            """,
        subcommands: [Init.self, Show.self])

    /// `membership init`.
    struct Init: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put the configuration file's nodes and cluster.epochs into etcd, if there is no membership yet.",
            discussion: """
                From then on etcd's membership counts, and not the file's. What is there already is never replaced.

                  hauberk membership init
                """)

        struct View: Encodable {
            let key: String
            let revision: Int64
        }

        @OptionGroup var output: OutputOption
        @OptionGroup var file: ConfigurationOption

        func run() async throws {
            let configuration = try file.loadWithEtcd()
            let text = try configuration.checkedFounding()
            try await EtcdMembership.with(configuration) { membership in
                let swap: EtcdSwap
                do throws(EtcdError) {
                    swap = try await membership.replace(text, expecting: 0)
                } catch {
                    throw CommandFailure("\(error)\n'hauberk membership show' says whether it is there all the same")
                }
                guard case .won(let revision) = swap else {
                    throw CommandFailure(
                        "etcd has another membership under \(membership.key) already, which was left as it is: "
                            + "'hauberk membership show' shows it")
                }
                try output.show(
                    View(key: membership.key, revision: revision),
                    "The membership is in etcd under \(membership.key), revision \(revision).\n")
            }
        }
    }

    /// `membership show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the membership in etcd, and which processes are alive.",
            discussion: """
                  hauberk membership show
                """)

        struct View: Encodable {
            let key: String
            let revision: Int64
            let text: String
            /// Whether a process would take it; otherwise what is wrong.
            let problem: String?
            let alive: [String]
        }

        @OptionGroup var output: OutputOption
        @OptionGroup var file: ConfigurationOption

        func run() async throws {
            let configuration = try file.loadWithEtcd()
            try await EtcdMembership.with(configuration) { membership in
                let version: EtcdMembership.Version?
                let alive: [String]
                do {
                    version = try await membership.read()
                    alive = try await membership.alive()
                } catch {
                    throw CommandFailure("\(error)")
                }
                guard let version else {
                    throw CommandFailure(
                        "etcd has no membership under \(membership.key): 'hauberk membership init' puts the one of "
                            + "\(configuration.file) there")
                }
                let view = View(
                    key: membership.key, revision: version.revision, text: version.text,
                    problem: configuration.problem(with: version.text, key: membership.key), alive: alive)
                try output.show(view, Self.text(view))
            }
        }

        private static func text(_ view: View) -> String {
            let head = TextTable.list([
                ("key", view.key), ("revision", "\(view.revision)"), ("alive", view.alive.joined(separator: ", ")),
            ])
            let problem = view.problem.map { "\nno process takes it:\n\($0)\n" } ?? ""
            return "\(head)\(problem)\n\(view.text)\(view.text.hasSuffix("\n") ? "" : "\n")"
        }
    }
}

extension ConfigurationOption {
    /// Reads a file that has its membership in etcd.
    fileprivate func loadWithEtcd() throws -> ClusterConfiguration {
        let configuration = try load()
        guard configuration.membership.kind == .etcd else {
            throw CommandFailure(
                "\(configuration.file) has membership.kind static: its own nodes and cluster.epochs are the membership")
        }
        return configuration
    }
}

extension ClusterConfiguration {
    /// The file's own membership as a text that every process takes.
    fileprivate func checkedFounding() throws -> String {
        do throws(ConfigurationError) {
            let text = try foundingMembership()
            _ = try adopting(membership: text, origin: file)
            return text
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    fileprivate func problem(with text: String, key: String) -> String? {
        do throws(ConfigurationError) {
            _ = try adopting(membership: text, origin: key)
            return nil
        } catch {
            return "\(error)"
        }
    }
}
