import Cluster
import Yams

/// The part of the configuration that etcd keeps, as a text of its own: YAML with the keys `cluster.epochs` and `nodes`
/// as the file has them, and no others.
struct MembershipText: ConfigurationSection {
    var cluster = MembershipEpochs()
    var nodes: [NodeSettings] = []

    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [.section("cluster", \.cluster), .sections("nodes", \.nodes)]
    }
}

/// Those of the cluster's keys that a membership has.
struct MembershipEpochs: ConfigurationSection {
    static let names = ["epochs", "settled"]

    var settings = ClusterSettings()

    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        ClusterSettings.keys.filter { names.contains($0.name) }.map { $0.inside(\.settings) }
    }
}

extension ClusterSettings {
    /// What no membership changes; the rest is as if nothing had been said.
    fileprivate var fixed: ClusterSettings {
        var settings = ClusterSettings()
        settings.name = name
        settings.partitions = partitions
        settings.replicas = replicas
        settings.durableCopies = durableCopies
        return settings
    }
}

extension SectionKey {
    /// The same key, of something that has the section in it.
    func inside<Outer>(_ place: WritableKeyPath<Outer, Section>) -> SectionKey<Outer> {
        SectionKey<Outer>(
            name: name, isRequired: isRequired,
            read: { outer, node, reader in read(&outer[keyPath: place], node, &reader) },
            describe: { outer, path in describe(outer[keyPath: place], path) },
            write: { outer, path in write(outer[keyPath: place], path) },
            takeLive: { new, old in takeLive(new[keyPath: place], &old[keyPath: place]) })
    }
}

extension ClusterConfiguration {
    /// This configuration with another membership, checked as a file with it would be. Its history must begin with the
    /// one that is known: a ring never goes back.
    ///
    /// - Parameter origin: what stands for a file's name in problems.
    package func adopting(membership text: String, origin: String) throws(ConfigurationError) -> ClusterConfiguration {
        // A few references to each other stand for any number of nodes, and a membership needs none.
        guard !text.utf8.contains(where: { $0 == UInt8(ascii: "&") || $0 == UInt8(ascii: "*") }) else {
            throw ConfigurationError([
                ConfigurationProblem(
                    file: origin, message: "a membership has no references: & and * are not allowed in it")
            ])
        }
        var reader = ConfigurationReader(file: origin, variables: ["HAUBERK_HOME": home])
        var membership = MembershipText()
        membership.cluster.settings = cluster.fixed
        if let root = try Self.compose(text, origin) {
            reader.at("", root) { $0.section(root, into: &membership) }
        }
        var configuration = self
        configuration.cluster = membership.cluster.settings
        configuration.nodes = membership.nodes
        configuration.resolve()
        configuration.check(&reader)
        configuration.checkSuccession(of: cluster.epochs, &reader)
        guard reader.problems.isEmpty else { throw ConfigurationError(reader.problems) }
        configuration.warnings = configuration.foresight(reader)
        return configuration
    }

    /// Lines that cannot be read are told of by other checks.
    private func checkSuccession(of known: [String], _ reader: inout ConfigurationReader) {
        guard !cluster.epochs.isEmpty else {
            return reader.problem("a membership needs the ring's history", path: "cluster.epochs")
        }
        guard !known.isEmpty, let before = try? RingHistory(lines: known),
            let after = try? RingHistory(lines: cluster.epochs)
        else { return }
        if after.memberships.count < before.memberships.count {
            reader.problem(
                "\(after.memberships.count) epochs, and \(before.memberships.count) are known: a ring does not go back",
                path: "cluster.epochs")
        } else if let other = zip(before.memberships, after.memberships).enumerated().first(where: { $1.0 != $1.1 }) {
            reader.problem(
                "this is not what epoch \(other.offset + 1) is known to be: another ring's history, or one that was rewritten",
                path: "cluster.epochs[\(other.offset)]")
        }
    }

    /// The membership that the file itself has, as the text that etcd gets: variables stay as they are, and the founding
    /// members get a line where the file has none.
    package func foundingMembership() throws(ConfigurationError) -> String {
        guard let text = Self.readFile(file) else {
            throw ConfigurationError([ConfigurationProblem(file: file, message: "cannot be read again")])
        }
        return try foundingMembership(in: text)
    }

    /// - Parameter text: what this configuration was read from.
    package func foundingMembership(in text: String) throws(ConfigurationError) -> String {
        let root = try Self.compose(text, file)
        let epochs = cluster.epochs.isEmpty ? RingHistory(founders: ringMembers).lines : cluster.epochs
        var clusterKeys: [(Node, Node)] = [(Node("epochs"), Node(epochs.map { Node($0, .implicit, .doubleQuoted) }))]
        for name in MembershipEpochs.names where name != "epochs" {
            if let value = root?["cluster"]?[name] { clusterKeys.append((Node(name), Self.withoutAnchors(value))) }
        }
        let nodes = Self.withoutAnchors(root?["nodes"] ?? Node([Node]()))
        let document = Node([(Node("cluster"), Node(clusterKeys)), (Node("nodes"), nodes)])
        do {
            return try Yams.serialize(node: document, width: -1, allowUnicode: true)
        } catch {
            throw ConfigurationError([ConfigurationProblem(file: file, message: "cannot be written as YAML: \(error)")])
        }
    }

    /// References were replaced by what they stand for, and so nothing needs a name.
    private static func withoutAnchors(_ node: Node) -> Node {
        switch node {
        case .scalar(let scalar): Node(scalar.string, .implicit, scalar.style)
        case .mapping(let mapping):
            Node(mapping.map { (withoutAnchors($0.key), withoutAnchors($0.value)) }, .implicit, mapping.style)
        case .sequence(let sequence): Node(sequence.map(withoutAnchors), .implicit, sequence.style)
        case .alias: node
        }
    }
}
