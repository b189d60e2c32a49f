using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;

namespace Mesh.ControlPlane.Api;

/// <summary>Answers with Server-Sent Events (WHATWG HTML §9.2): a document each, in one line of JSON. Not thread-safe: one loop writes.</summary>
internal sealed class EventStream(HttpContext context)
{
    private readonly JsonSerializerOptions _json = context.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;

    /// <summary>Sends the head, so that who waits knows that it is heard.</summary>
    public Task BeginAsync(CancellationToken cancellationToken)
    {
        var response = context.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        // For proxies that would gather what should flow.
        response.Headers["X-Accel-Buffering"] = "no";
        return response.Body.FlushAsync(cancellationToken);
    }

    /// <summary>Adds an event; it goes with the next <see cref="FlushAsync"/>.</summary>
    public void Add<T>(string name, T document)
    {
        var to = context.Response.BodyWriter;
        to.Write("event: "u8);
        to.Write(System.Text.Encoding.UTF8.GetBytes(name));
        to.Write("\ndata: "u8);
        // Line ends inside are escaped by JSON.
        using (var writer = new Utf8JsonWriter(to, new JsonWriterOptions { Encoder = _json.Encoder }))
        {
            JsonSerializer.Serialize(writer, document, _json);
        }

        to.Write("\n\n"u8);
    }

    /// <summary>A line that says nothing, so that what lies between does not think that we are gone.</summary>
    public void AddComment() => context.Response.BodyWriter.Write(":\n\n"u8);

    /// <summary>Waits while the reader is slower than we are.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken) => await context.Response.BodyWriter.FlushAsync(cancellationToken);
}
