/// What SIGHUP can and cannot bring from one configuration to another, as lines for the log.
package struct ReloadDifference: Sendable, Equatable {
    /// `smtp.limits.recipientsMax: 100 is now 50`: a running process takes these.
    package private(set) var live: [String] = []
    /// `hostname: a.example is now b.example`: these wait for a restart.
    package private(set) var restart: [String] = []

    package init(from old: ClusterConfiguration, to new: ClusterConfiguration) {
        let before = Self.values(old)
        let after = Self.values(new)
        let newTexts = Dictionary(after.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        let oldPaths = Set(before.map(\.path))
        for value in before {
            guard let other = newTexts[value.path] else {
                add("\(value.path): is gone (was \(value.text))", value.comesAndGoes)
                continue
            }
            if other.text != value.text {
                add("\(value.path): \(value.text) is now \(other.text)", value.isLive && other.isLive)
            }
        }
        for value in after where !oldPaths.contains(value.path) {
            add("\(value.path): is now \(value.text)", value.comesAndGoes)
        }
        if old.home != new.home { restart.append("HAUBERK_HOME: \(old.home) is now \(new.home)") }
    }

    package var isEmpty: Bool { live.isEmpty && restart.isEmpty }

    private mutating func add(_ line: String, _ isLive: Bool) {
        if isLive { live.append(line) } else { restart.append(line) }
    }

    private static func values(_ configuration: ClusterConfiguration) -> [ConfigurationValue] {
        ClusterConfiguration.keys.flatMap { $0.write(configuration, $0.name) }
    }
}

extension ClusterConfiguration {
    /// This configuration with everything from `new` that a running process can take, and nothing else.
    package func reloading(_ new: ClusterConfiguration) -> ClusterConfiguration {
        var result = self
        ClusterConfiguration.takeLive(from: new, into: &result)
        return result
    }

    static func takeLive(from new: Self, into old: inout Self) {
        for key in keys { key.takeLive(new, &old) }
    }
}
