using System.Buffers.Binary;
using System.Text;
using System.Threading.Channels;
using Mesh.Conformance.Tests.Targets;

namespace Mesh.Conformance.Tests.Wire;

/// <summary>A client that writes any frames, allowed or not, and hands out what comes back frame by frame. It answers nothing by itself.</summary>
/// <remarks>Writes are collected until <see cref="FlushAsync"/>. Reading goes on beside, so that a server's last words are not lost when it resets the connection.</remarks>
internal sealed class Http2Wire : IAsyncDisposable
{
    public static readonly byte[] Preface = Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

    private readonly Stream _stream;
    private readonly List<byte> _unsent = [];
    private readonly Channel<Frame> _frames = Channel.CreateUnbounded<Frame>();
    private readonly Task _reading;
    private readonly List<byte> _block = [];

    private Http2Wire(Stream stream)
    {
        _stream = stream;
        _reading = Task.Run(ReadAllAsync);
    }

    /// <summary>The server's compression context: of every header block that it sent.</summary>
    public HpackTables Tables { get; } = new();

    public Dictionary<Setting, int> ServerSettings { get; } = [];

    /// <summary>What came instead of frames, when the server speaks something else.</summary>
    public string? NotHttp2 { get; private set; }

    /// <summary>What we may still send on the connection, as far as its WINDOW_UPDATEs were read.</summary>
    public long Window { get; set; } = 65_535;

    /// <summary>The largest payload that a server may send: 16,384 until SETTINGS say more.</summary>
    public int MaxFrameSize { get; set; } = 16384;

    public static async Task<Http2Wire> ConnectAsync(ITarget target) => new(await target.ConnectAsync());

    /// <summary>Both prefaces and both acknowledgements done.</summary>
    public static async Task<Http2Wire> OpenAsync(ITarget target, params (Setting Name, int Value)[] settings)
    {
        var wire = await ConnectAsync(target);
        try
        {
            await wire.Raw(Preface).Settings(settings).FlushAsync();
            await wire.HandshakeAsync();
            return wire;
        }
        catch
        {
            await wire.DisposeAsync();
            throw;
        }
    }

    /// <summary>Takes the server's SETTINGS and its ACK of ours, and acknowledges.</summary>
    public async Task HandshakeAsync()
    {
        var first = await ReadAsync();
        Assert.True(first is { Type: FrameType.Settings, Stream: 0 } && !first.Flags.HasFlag(Flags.Ack), $"A server's first frame is SETTINGS (RFC 9113 §3.4), not {first}.");
        await SettingsAck().FlushAsync();
        while (await ReadAsync() is var frame && frame is not { Type: FrameType.Settings, Flags: Flags.Ack })
        {
            Assert.True(frame is { Type: FrameType.WindowUpdate }, $"Between a server's SETTINGS and its ACK only WINDOW_UPDATE is sensible, not {frame}.");
        }
    }

    public Http2Wire Raw(ReadOnlySpan<byte> bytes)
    {
        _unsent.AddRange(bytes);
        return this;
    }

    public Http2Wire Frame(FrameType type, Flags flags, int stream, ReadOnlySpan<byte> payload, int? length = null, bool reserved = false) =>
        Raw(Wire.Frame.Encode(type, flags, stream, payload, length, reserved));

    public Http2Wire Headers(int stream, ReadOnlySpan<byte> block, Flags flags = Flags.EndStream | Flags.EndHeaders) => Frame(FrameType.Headers, flags, stream, block);

    public Http2Wire Continuation(int stream, ReadOnlySpan<byte> block, Flags flags = Flags.EndHeaders) => Frame(FrameType.Continuation, flags, stream, block);

    public Http2Wire Data(int stream, ReadOnlySpan<byte> data, Flags flags = Flags.EndStream) => Frame(FrameType.Data, flags, stream, data);

    public Http2Wire Settings(params ReadOnlySpan<(Setting Name, int Value)> settings)
    {
        var payload = new byte[settings.Length * 6];
        for (var i = 0; i < settings.Length; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(payload.AsSpan(i * 6), (ushort)settings[i].Name);
            BinaryPrimitives.WriteInt32BigEndian(payload.AsSpan((i * 6) + 2), settings[i].Value);
        }

        return Frame(FrameType.Settings, Flags.None, 0, payload);
    }

    public Http2Wire SettingsAck() => Frame(FrameType.Settings, Flags.Ack, 0, []);

    public Http2Wire Ping(ReadOnlySpan<byte> data, Flags flags = Flags.None, int stream = 0) => Frame(FrameType.Ping, flags, stream, data);

    public Http2Wire Reset(int stream, ErrorCode error = ErrorCode.Cancel) => Frame(FrameType.RstStream, Flags.None, stream, Number((int)error));

    public Http2Wire WindowUpdate(int stream, int increment) => Frame(FrameType.WindowUpdate, Flags.None, stream, Number(increment));

    public Http2Wire Priority(int stream, int dependsOn = 0) => Frame(FrameType.Priority, Flags.None, stream, [.. Number(dependsOn), 15]);

    public Http2Wire GoAway(int last, ErrorCode error = ErrorCode.NoError, int stream = 0) => Frame(FrameType.GoAway, Flags.None, stream, [.. Number(last), .. Number((int)error)]);

    public static byte[] Number(int number)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, number);
        return bytes;
    }

    /// <summary>False when the server has hung up: what it said before can still be read.</summary>
    public async Task<bool> FlushAsync()
    {
        byte[] bytes = [.. _unsent];
        _unsent.Clear();
        try
        {
            await _stream.WriteAsync(bytes, TestContext.Current.CancellationToken).AsTask().WaitAsync(Patience.Limit, TestContext.Current.CancellationToken);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Null when the server has closed the connection.</summary>
    public async Task<Frame?> ReadAsync(TimeSpan? limit = null)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(limit ?? Patience.Limit);
        try
        {
            return await _frames.Reader.WaitToReadAsync(patience.Token) && _frames.Reader.TryRead(out var frame) ? Checked(frame) : null;
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException("The server neither answered nor closed.");
        }
    }

    /// <summary>What has arrived, without waiting.</summary>
    public bool TryRead(out Frame frame)
    {
        var any = _frames.Reader.TryRead(out var read);
        frame = any ? Checked(read!) : null!;
        return any;
    }

    /// <summary>The fields of a block that ends with this frame; null while more CONTINUATIONs come.</summary>
    public List<(string Name, string Value)>? Fields { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        await _reading;
    }

    /// <summary>What every frame of a server has to be, whatever the case is about.</summary>
    private Frame Checked(Frame frame)
    {
        Assert.True(frame.Payload.Length <= MaxFrameSize, $"RFC 9113 §4.2: {frame.Type} of {frame.Payload.Length} octets.");
        Assert.NotEqual(FrameType.PushPromise, frame.Type);
        switch (frame.Type)
        {
            case FrameType.Settings when !frame.Flags.HasFlag(Flags.Ack):
                for (var at = 0; at < frame.Payload.Length; at += 6)
                {
                    ServerSettings[(Setting)BinaryPrimitives.ReadUInt16BigEndian(frame.Payload.AsSpan(at))] = BinaryPrimitives.ReadInt32BigEndian(frame.Payload.AsSpan(at + 2));
                }

                break;
            case FrameType.WindowUpdate when frame.Stream == 0:
                Window += frame.Increment;
                break;
            case FrameType.Headers or FrameType.Continuation:
                _block.AddRange(frame.Payload);
                Fields = null;
                if (frame.Flags.HasFlag(Flags.EndHeaders))
                {
                    Fields = Hpack.Decode([.. _block], Tables);
                    _block.Clear();
                }

                break;
        }

        return frame;
    }

    private async Task ReadAllAsync()
    {
        var header = new byte[Wire.Frame.HeaderLength];
        try
        {
            while (true)
            {
                await _stream.ReadExactlyAsync(header);
                if (header.AsSpan().StartsWith("HTTP/"u8))
                {
                    NotHttp2 = Encoding.Latin1.GetString(header) + await new StreamReader(_stream, Encoding.Latin1).ReadToEndAsync();
                    break;
                }

                var payload = new byte[(header[0] << 16) | (header[1] << 8) | header[2]];
                await _stream.ReadExactlyAsync(payload);
                _frames.Writer.TryWrite(new Frame((FrameType)header[3], (Flags)header[4], BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(5)) & int.MaxValue, payload));
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The end, however it came.
        }
        finally
        {
            _frames.Writer.TryComplete();
        }
    }
}
