using System.Net;

namespace Mesh.Conformance.Tests.Targets;

/// <summary>A server that is talked to, and the app that it stands for. To add one: implement this and add a line to <see cref="TargetKind"/>.</summary>
internal interface ITarget : IAsyncDisposable
{
    /// <summary>What receives the requests in the end, and tells what it received.</summary>
    RecordingApp App { get; }

    /// <summary>Where clients connect: connections to it are counted.</summary>
    EndPoint Address { get; }

    /// <summary>The server hangs up on clients that are slow with headers or bodies, within a few seconds: false where that is not ours to set.</summary>
    bool HangsUpOnTheSlow { get; }

    Task<Stream> ConnectAsync();
}
