using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>The app behind every pair: HTTP/1 answers of a size, gRPC answers of a size, and a source of bytes on TCP. It ends with its input.</summary>
internal static class BenchApp
{
    public const int HttpPort = 8080;
    public const int GrpcPort = 8081;

    /// <summary>Opaque by default in the mesh: PostgreSQL's.</summary>
    public const int TcpPort = 5432;

    public static async Task<int> RunAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(IPAddress.Any, HttpPort, l => l.Protocols = HttpProtocols.Http1);
            kestrel.Listen(IPAddress.Any, GrpcPort, l => l.Protocols = HttpProtocols.Http2);
            kestrel.Listen(IPAddress.Any, TcpPort, l => l.Run(SendAsync));
        });
        await using var app = builder.Build();
        var answers = new[] { 256, 65536 }.ToDictionary(size => $"/{size}", size => new byte[size]);
        app.Run(context => context.Request.Protocol == "HTTP/2" ? GrpcAsync(context, answers) : HttpAsync(context, answers));
        await app.StartAsync();
        Console.WriteLine("serving");
        while (await Console.In.ReadLineAsync() is not null)
        {
        }

        await app.StopAsync();
        return 0;
    }

    private static Task HttpAsync(HttpContext context, Dictionary<string, byte[]> answers)
    {
        var answer = answers[context.Request.Path.Value!];
        context.Response.ContentLength = answer.Length;
        context.Response.ContentType = "application/octet-stream";
        return context.Response.Body.WriteAsync(answer).AsTask();
    }

    /// <summary>A unary call without its protobuf: a length-prefixed message in, one out, status 0 in the trailers.</summary>
    private static async Task GrpcAsync(HttpContext context, Dictionary<string, byte[]> answers)
    {
        var request = context.Request.BodyReader;
        while (await request.ReadAsync() is { IsCompleted: false } read)
        {
            request.AdvanceTo(read.Buffer.End);
        }

        var answer = answers[context.Request.Path.Value!];
        context.Response.ContentType = "application/grpc";
        var writer = context.Response.BodyWriter;
        var prefix = writer.GetSpan(5);
        prefix[0] = 0;
        BinaryPrimitives.WriteInt32BigEndian(prefix[1..], answer.Length);
        writer.Advance(5);
        await writer.WriteAsync(answer);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    private static async Task SendAsync(ConnectionContext connection)
    {
        var bytes = new byte[65536];
        try
        {
            while (!connection.ConnectionClosed.IsCancellationRequested)
            {
                await connection.Transport.Output.WriteAsync(bytes, connection.ConnectionClosed);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or SocketException)
        {
            // The load has read enough.
        }
    }
}
