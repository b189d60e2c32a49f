using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;

namespace Mesh.Outbound;

/// <summary>gRPC over HTTP/2 as far as the mesh's own small questions to endpoints need it.</summary>
internal static class GrpcFrames
{
    /// <summary>The gRPC code UNIMPLEMENTED.</summary>
    public const int Unimplemented = 12;

    private const int HeaderBytes = 5;

    /// <param name="authority">Host, with port if need be.</param>
    /// <param name="path">Service and method, such as <c>/grpc.health.v1.Health/Check</c>.</param>
    /// <param name="message">Protobuf.</param>
    public static HttpRequestMessage Request(string authority, string path, ReadOnlySpan<byte> message)
    {
        var frame = new byte[HeaderBytes + message.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), message.Length);
        message.CopyTo(frame.AsSpan(HeaderBytes));
        return new HttpRequestMessage(HttpMethod.Post, $"http://{authority}{path}")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Headers = { { "TE", "trailers" } },
            Content = new ByteArrayContent(frame) { Headers = { ContentType = new MediaTypeHeaderValue("application/grpc") } },
        };
    }

    /// <summary>The next message; null at the end of the stream.</summary>
    /// <exception cref="InvalidDataException">What came is no message, is compressed, or longer than <paramref name="maxBytes"/>.</exception>
    public static async ValueTask<byte[]?> ReadAsync(Stream body, int maxBytes, CancellationToken cancellationToken)
    {
        var header = new byte[HeaderBytes];
        var read = await body.ReadAtLeastAsync(header, HeaderBytes, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        if (read == 0)
        {
            return null;
        }

        var length = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(1));
        if (read < HeaderBytes || header[0] != 0 || length > maxBytes)
        {
            throw new InvalidDataException($"The answer is no plain gRPC message of at most {maxBytes} bytes.");
        }

        var message = new byte[length];
        await body.ReadExactlyAsync(message, cancellationToken).ConfigureAwait(false);
        return message;
    }

    /// <summary>The call's status, once its body was read: from trailers or headers, else what its HTTP status means to gRPC.</summary>
    public static int Status(HttpResponseMessage response)
    {
        var status = OutboundErrors.GrpcStatus(response.TrailingHeaders);
        status = status >= 0 ? status : OutboundErrors.GrpcStatus(response.Headers);
        const int Unknown = 2;
        return status >= 0 ? status : response.StatusCode == HttpStatusCode.NotFound ? Unimplemented : Unknown;
    }
}
