using System.Diagnostics.CodeAnalysis;
using Mesh.Conformance.Tests.Targets;
using Mesh.Conformance.Tests.Wire;

namespace Mesh.Conformance.Tests.Http2;

/// <summary>One rule of a specification: what is sent, and what may come of it.</summary>
/// <param name="Section">Of RFC 9113, or "7541 §…".</param>
/// <param name="Send">What is written; whatever it reads is its own business. The case's end (a PING) is added.</param>
/// <param name="Watch">The stream whose end is the outcome; 0: the connection alone.</param>
internal sealed record Http2Case(string Section, string Name, Func<Http2Wire, Task> Send, Allowed Allowed, int Watch = 0)
{
    /// <summary>What we announce in the connection preface.</summary>
    public (Setting, int)[] Settings { get; init; } = [];

    /// <summary>The script does the connection preface itself.</summary>
    public bool FromTheStart { get; init; }

    /// <summary>What the app must have seen, when the outcome is an answer.</summary>
    public Action<IReadOnlyCollection<Received>>? Then { get; init; }

    public string Title => $"{Section} {Name}";

    /// <summary>For what is one burst of frames.</summary>
    public static Http2Case Of(string section, string name, Action<Http2Wire> write, Allowed allowed, int watch = 0) => new(section, name, wire =>
    {
        write(wire);
        return wire.FlushAsync();
    }, allowed, watch);

    public async Task<Outcome> RunAsync(ITarget target)
    {
        target.App.Forget();
        await using var wire = FromTheStart ? await Http2Wire.ConnectAsync(target) : await Http2Wire.OpenAsync(target, Settings);
        await Send(wire);
        var outcome = await ObserveAsync(wire, Watch);
        if (outcome is { Kind: OutcomeKind.Answered, Code: 200 })
        {
            Then?.Invoke(target.App.Received);
        }

        return outcome;
    }

    private static readonly byte[] _lastPing = [.. "the end."u8];

    /// <summary>Reads until a PING sent now is answered and the watched stream has ended, or the connection has.</summary>
    [SuppressMessage("Performance", "CA1508", Justification = "The stream's end and the PING's answer come in any order.")]
    public static async Task<Outcome> ObserveAsync(Http2Wire wire, int watch)
    {
        await wire.Ping(_lastPing).FlushAsync();
        Outcome? stream = watch == 0 ? new Outcome(OutcomeKind.Alive) : null;
        Outcome? connection = null;
        var answered = false;
        var status = 0;
        try
        {
            while (connection is not null || !answered || stream is null)
            {
                if (await wire.ReadAsync() is not { } frame)
                {
                    // An error's GOAWAY MUST be followed by the connection's end (RFC 9113 §5.4.1): it has come.
                    return connection ?? (wire.NotHttp2 is { } text ? new Outcome(OutcomeKind.Answered, int.Parse(text.AsSpan(9, 3), System.Globalization.CultureInfo.InvariantCulture)) : new Outcome(OutcomeKind.Closed));
                }

                switch (frame.Type)
                {
                    case FrameType.GoAway when frame.Error != ErrorCode.NoError:
                        connection ??= new Outcome(OutcomeKind.ConnectionError, (int)frame.Error);
                        break;
                    case FrameType.Ping when frame.Flags.HasFlag(Flags.Ack) && frame.Payload.AsSpan().SequenceEqual(_lastPing):
                        answered = true;
                        break;
                    case FrameType.RstStream when frame.Stream == watch && stream is null:
                        // NO_ERROR after a whole answer says only that the rest of the request is not wanted (§8.1).
                        stream = new Outcome(OutcomeKind.StreamError, (int)frame.Error);
                        break;
                    case FrameType.Headers when frame.Stream == watch && wire.Fields is { } fields && fields[0].Name == ":status":
                        status = int.Parse(fields[0].Value, System.Globalization.CultureInfo.InvariantCulture);
                        break;
                }

                if (frame.EndsStream && frame.Stream == watch)
                {
                    stream ??= new Outcome(OutcomeKind.Answered, status);
                }
            }

            return stream.Value;
        }
        catch (TimeoutException)
        {
            return connection is null ? new Outcome(OutcomeKind.Silent) : throw new TimeoutException($"The connection stays open after {connection}.");
        }
    }
}
