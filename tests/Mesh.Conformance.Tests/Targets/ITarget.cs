using System.Net;

namespace Mesh.Conformance.Tests.Targets;

/// <summary>A server that is talked to, and the app that it stands for. To add one: implement this and add a line to <see cref="TargetKind"/>.</summary>
internal interface ITarget : IAsyncDisposable
{
    /// <summary>What receives the requests in the end, and tells what it received.</summary>
    RecordingApp App { get; }

    /// <summary>Where clients connect: connections to it are counted.</summary>
    EndPoint Address { get; }

    /// <summary>
    /// The server has limits of its own on bodies: it hangs up on the slow within a few seconds, and on the endless. A sidecar has none, since streams of a day are normal and the app's limits count;
    /// there nobody waits for it to hang up, but others must be served and nothing be left.
    /// </summary>
    bool LimitsBodies { get; }

    Task<Stream> ConnectAsync();
}
