using System.Text.Json;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>One certificate that was issued.</summary>
/// <param name="Node">The node id that the asker gave itself, as on its ADS stream; else its address.</param>
internal sealed record Issuance(string Identity, string Node, string Serial, DateTimeOffset IssuedAt, DateTimeOffset NotBefore, DateTimeOffset NotAfter);

/// <summary>What was issued: the newest in memory, all in issued.jsonl. Thread-safe.</summary>
internal sealed partial class IssuanceLog(DataFolder data, ILogger<IssuanceLog> logger)
{
    private const string FileName = "issued.jsonl";
    private const int MaxKept = 5_000;
    private const long MaxFileBytes = 64 * 1024 * 1024;
    private readonly Lock _lock = new();
    private readonly Queue<Issuance> _newest = new();
    private long _count;

    public long Count => Interlocked.Read(ref _count);

    /// <summary>Newest first.</summary>
    public IReadOnlyList<Issuance> Newest
    {
        get
        {
            lock (_lock)
            {
                return [.. _newest.Reverse()];
            }
        }
    }

    public void Add(Issuance issuance)
    {
        lock (_lock)
        {
            Interlocked.Increment(ref _count);
            _newest.Enqueue(issuance);
            if (_newest.Count > MaxKept)
            {
                _newest.Dequeue();
            }

            try
            {
                var file = new FileInfo(data.File(FileName));
                if (file.Exists && file.Length > MaxFileBytes)
                {
                    file.MoveTo(data.File(FileName + ".1"), overwrite: true);
                }

                data.Append(FileName, JsonSerializer.SerializeToUtf8Bytes(issuance, JsonSerializerOptions.Web));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Log.NotWritten(logger, issuance.Serial, e);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4600, LogLevel.Error, "Certificate {Serial} was issued but could not be noted in issued.jsonl. Check the data folder.", EventName = nameof(NotWritten))]
        public static partial void NotWritten(ILogger logger, string serial, Exception exception);
    }
}
