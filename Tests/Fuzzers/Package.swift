// swift-tools-version: 6.2
import PackageDescription

// The fuzzers, apart from the product so that its build does not pay for them; `scripts/fuzz` builds and runs them.
// `Modules` links to the product's sources, which are compiled once more here, with the sanitizers.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .unsafeFlags(["-sanitize=fuzzer,address"]),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = [], more: [SwiftSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Modules/\(name)", swiftSettings: settings + more)
}

let package = Package(
    name: "fuzzers",
    targets: [
        .systemLibrary(
            name: "CCrypto", path: "Modules/CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        module("Mail"),
        module("Digests", ["CCrypto"]),
        module("SASL", ["Mail", "Digests"]),
        module("SMTP", ["Mail", "SASL"]),
        module("POP3", ["Mail", "SASL"]),
        module("QMTP", ["Mail"]),
        module("Bounces", ["Mail", "SMTP"]),
        module("Cluster", ["Mail"]),
        module("Membership"),
        // What is fuzzed there is nobody else's.
        module("Maildirs", ["Mail", "Digests", "Cluster"], more: [.unsafeFlags(["-enable-testing"])]),
        module("Etcd", more: [.unsafeFlags(["-enable-testing"])]),
        module("Serialmail", ["Mail", "SMTP"], more: [.unsafeFlags(["-enable-testing"])]),
        module("Wire", more: [.unsafeFlags(["-enable-testing"])]),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "Mail", "SASL", "SMTP", "POP3", "QMTP", "Bounces", "Cluster", "Membership", "Maildirs", "Serialmail",
                "Etcd", "Wire",
            ],
            path: ".", exclude: ["Modules", "Dictionaries"],
            sources: [
                "main.swift", "Mail", "SMTP", "POP3", "SASL", "QMTP", "Bounces", "Cluster", "Membership", "Maildirs",
                "Serialmail", "Etcd", "Wire",
            ], swiftSettings: settings,
            linkerSettings: [.unsafeFlags(["-use-ld=lld", "-sanitize=address"])]),
    ],
    swiftLanguageModes: [.v6]
)
