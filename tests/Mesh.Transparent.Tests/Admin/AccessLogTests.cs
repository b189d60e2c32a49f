using System.Net;
using System.Text;
using System.Text.Json;
using Mesh.Server;
using Mesh.Hosting;
using Mesh.Server.Logging;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Xunit;

namespace Mesh.Transparent.Tests.Admin;

public sealed class AccessLogTests
{
    private const string Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    [Fact]
    public async Task Write_Json_HasLinkerdsFields()
    {
        using var ca = new TestCa("cluster.local");
        var svid = ca.Identity("shop", "storefront").Svid;
        var line = Assert.Single(await LinesAsync(MeshAccessLog.Json, log => log.Write(
            Request("/items?id=1", agent: "curl/8", host: "catalog.shop"), new MeshPeerFeature(svid.Id, svid.Leaf), TimeSpan.FromMilliseconds(3), TimeSpan.FromTicks(15), 7, 42)));

        var entry = JsonDocument.Parse(line).RootElement;
        Assert.Equal(
            [
                "client.addr", "client.id", "timestamp", "method", "uri", "version", "trace_id", "request_bytes", "status", "response_bytes", "total_ns", "processing_ns", "user_agent", "host",
            ],
            entry.EnumerateObject().Select(p => p.Name));
        Assert.Equal("10.1.2.3:5555", entry.GetProperty("client.addr").GetString());
        Assert.Equal("spiffe://cluster.local/ns/shop/sa/storefront", entry.GetProperty("client.id").GetString());
        Assert.Equal("/items?id=1", entry.GetProperty("uri").GetString());
        Assert.Equal("4bf92f3577b34da6a3ce929d0e0e4736", entry.GetProperty("trace_id").GetString());
        Assert.Equal(
            (7, 201, 42, 3_000_000, 1500),
            (entry.GetProperty("request_bytes").GetInt64(), entry.GetProperty("status").GetInt32(), entry.GetProperty("response_bytes").GetInt64(), entry.GetProperty("total_ns").GetInt64(), entry.GetProperty("processing_ns").GetInt64()));
        Assert.Equal(("GET", "HTTP/2", "curl/8", "catalog.shop"), (entry.GetProperty("method").GetString(), entry.GetProperty("version").GetString(), entry.GetProperty("user_agent").GetString(), entry.GetProperty("host").GetString()));
    }

    [Fact]
    public async Task Write_Apache_IsTheCombinedFormat()
    {
        var line = Assert.Single(await LinesAsync(MeshAccessLog.Apache, log => log.Write(Request("/items", agent: "curl/8", host: "h"), null, TimeSpan.Zero, TimeSpan.Zero, 0, 42)));
        Assert.Matches("^10\\.1\\.2\\.3 - - \\[\\d\\d/[A-Z][a-z][a-z]/\\d{4}:\\d\\d:\\d\\d:\\d\\d \\+0000\\] \"GET /items HTTP/2\" 201 42 \"-\" \"curl/8\"$", line);
    }

    [Theory]
    [InlineData("a\r\n10.6.6.6 - - [forged] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"")]
    [InlineData("\" 200 1 \"-\" \"x")]
    [InlineData("\\\" end\\")]
    [InlineData("\u001b[2J\u0000\u0085\u2028\u009b31m")]
    [InlineData("ünïcödé \ud83d\ude00 \ud800")]
    public async Task Write_HostileValues_StayOneLineAndOneField(string hostile)
    {
        foreach (var format in new[] { MeshAccessLog.Json, MeshAccessLog.Apache })
        {
            var line = Assert.Single(await LinesAsync(format, log => log.Write(Request("/" + hostile, hostile, hostile), null, TimeSpan.Zero, TimeSpan.Zero, 0, 0)));
            Assert.DoesNotContain(line, c => char.IsControl(c) || c is '\u2028' or '\u2029');
            if (format == MeshAccessLog.Json)
            {
                Assert.Equal(hostile.Replace('\ud800', '\ufffd'), JsonDocument.Parse(line).RootElement.GetProperty("user_agent").GetString());
            }
            else
            {
                // Only our own quotes are not escaped: those around request, referer and agent.
                Assert.Equal(6, line.Where((c, i) => c == '"' && line[..i].Reverse().TakeWhile(p => p == '\\').Count() % 2 == 0).Count());
                Assert.All(line, c => Assert.InRange(c, ' ', '~'));
            }
        }
    }

    [Fact]
    public async Task Write_LongValues_AreCut()
    {
        var line = Assert.Single(await LinesAsync(MeshAccessLog.Json, log => log.Write(Request("/", new string('a', 100_000), "h"), null, TimeSpan.Zero, TimeSpan.Zero, 0, 0)));
        Assert.Equal(AccessLog.MaxFieldLength, JsonDocument.Parse(line).RootElement.GetProperty("user_agent").GetString()!.Length);
    }

    [Fact]
    public async Task Write_NobodyReads_DropsAndSaysHowMany()
    {
        var stream = new StuckStream();
        var log = new AccessLog(MeshAccessLog.Json, TimeProvider.System, stream);
        const int Written = 20_000;
        for (var i = 0; i < Written; i++)
        {
            log.Write(Request("/", new string('a', 500), "h"), null, TimeSpan.Zero, TimeSpan.Zero, 0, 0);
        }

        var dropped = log.Dropped;
        Assert.InRange(dropped, 1, Written - 1);
        stream.Release();
        await log.DisposeAsync();

        var lines = Encoding.UTF8.GetString(stream.Written.ToArray()).TrimEnd('\n').Split('\n').Select(l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.Equal(dropped, lines.Where(l => l.TryGetProperty("dropped", out _)).Sum(l => l.GetProperty("dropped").GetInt64()));
        Assert.Equal(Written - dropped, lines.Count(l => l.TryGetProperty("uri", out _)));
    }

    [Fact]
    public async Task Write_Off_DoesNothing()
    {
        var stream = new MemoryStream();
        await using var log = new AccessLog(MeshAccessLog.Off, TimeProvider.System, stream);
        Assert.False(log.IsOn);
        log.Write(Request("/", "a", "h"), null, TimeSpan.Zero, TimeSpan.Zero, 0, 0);
        Assert.Equal(0, stream.Length);
    }

    [Theory]
    [InlineData(Traceparent, "4bf92f3577b34da6a3ce929d0e0e4736")]
    [InlineData("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", "4bf92f3577b34da6a3ce929d0e0e4736")]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", null)]
    [InlineData("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", null)]
    [InlineData("00-00000000000000000000000000000000-00f067aa0ba902b7-01", null)]
    [InlineData("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", null)]
    [InlineData("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", null)]
    [InlineData("00-4bf92f35", null)]
    [InlineData(null, null)]
    public void TraceIdOf_Traceparent_IsReadAsW3cSays(string? traceparent, string? expected) => Assert.Equal(expected, AccessLog.TraceIdOf(traceparent));

    private static async Task<string[]> LinesAsync(MeshAccessLog format, Action<AccessLog> write)
    {
        var stream = new MemoryStream();
        await using (var log = new AccessLog(format, TimeProvider.System, stream))
        {
            write(log);
        }

        var text = Encoding.UTF8.GetString(stream.ToArray());
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        return text[..^1].Split('\n');
    }

    private static DefaultHttpContext Request(string target, string agent, string host)
    {
        var context = new DefaultHttpContext();
        context.Features.Get<IHttpRequestFeature>()!.RawTarget = target;
        context.Connection.RemoteIpAddress = IPAddress.Parse("::ffff:10.1.2.3");
        context.Connection.RemotePort = 5555;
        context.Request.Method = "GET";
        context.Request.Protocol = "HTTP/2";
        context.Request.Headers.UserAgent = agent;
        context.Request.Headers.Host = host;
        context.Request.Headers.TraceParent = Traceparent;
        context.Response.StatusCode = 201;
        return context;
    }

    /// <summary>Takes nothing until it is released.</summary>
    private sealed class StuckStream : Stream
    {
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public MemoryStream Written { get; } = new();

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public void Release() => _released.SetResult();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await _released.Task.WaitAsync(cancellationToken);
            await Written.WriteAsync(buffer, cancellationToken);
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
