namespace Mesh.Testing.Kubernetes;

/// <summary>What a fake API server is like.</summary>
internal sealed record FakeKubeApiOptions
{
    /// <summary>HTTPS with a certificate of <see cref="FakeKubeApi.CaPem"/>, as a cluster has it; else plain HTTP.</summary>
    public bool Https { get; init; }

    /// <summary>Roles and bindings decide what a service account may do. Without it every known token may do everything.</summary>
    public bool Authorize { get; init; }

    public string GitVersion { get; init; } = "v1.33.1";

    /// <summary>The fake's clock: ages, expiry of tokens. Watches end and bookmark by it too.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Between two bookmarks of a watch that asked for them.</summary>
    public TimeSpan BookmarkInterval { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long a watch lasts that does not say it (a real server: 30 to 60 minutes).</summary>
    public TimeSpan WatchTimeout { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>How long a continue token is good (a real server: until etcd compacts, about five minutes).</summary>
    public TimeSpan ContinueLifetime { get; init; } = TimeSpan.FromMinutes(5);
}
