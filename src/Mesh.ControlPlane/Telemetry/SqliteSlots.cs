using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Slots in one SQLite file, written ahead (WAL): a process that is killed loses what it had not yet written, and nothing else.</summary>
/// <remarks>Slots are only ever added to: what comes late is one more part of its slot. Not thread-safe: owned by the store's lock of files.</remarks>
internal sealed class SqliteSlots : ISlotFile
{
    /// <summary>Marks the file as ours: <c>MSHG</c>.</summary>
    private const int ApplicationId = 0x4D534847;

    private const int Version = 1;

    private const string Schema = """
        CREATE TABLE slots(id INTEGER PRIMARY KEY, tier INTEGER NOT NULL, slot INTEGER NOT NULL, data BLOB NOT NULL);
        CREATE INDEX slots_at ON slots(tier, slot);
        CREATE TABLE series(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, source TEXT NOT NULL, source_namespace TEXT NOT NULL, destination TEXT NOT NULL, destination_namespace TEXT NOT NULL,
            route TEXT NOT NULL, backend TEXT NOT NULL, backend_namespace TEXT NOT NULL, endpoint TEXT NOT NULL, seen INTEGER NOT NULL);
        CREATE TABLE reporters(account TEXT NOT NULL, namespace TEXT NOT NULL, PRIMARY KEY(account, namespace)) WITHOUT ROWID;
        CREATE TABLE gaps(begins INTEGER NOT NULL, ends INTEGER NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL);
        CREATE TABLE facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        """;

    private readonly SqliteConnection _connection;
    private long _bytes;

    private SqliteSlots(SqliteConnection connection)
    {
        _connection = connection;
        _bytes = Measure();
    }

    /// <inheritdoc/>
    public string Kind => "disk";

    /// <inheritdoc/>
    public long Bytes => _bytes;

    /// <inheritdoc/>
    public long Losses => 0;

    /// <exception cref="SqliteException">It can't be opened, or is damaged.</exception>
    /// <exception cref="InvalidDataException">It is a file of somebody else, or of a version that is not known.</exception>
    public static SqliteSlots Open(string path)
    {
        SQLitePCL.Batteries_V2.Init();
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = 5 }.ConnectionString);
        try
        {
            connection.Open();
            Run(connection, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=4194304; PRAGMA temp_store=MEMORY;");
            var (application, version, tables) = (Ask(connection, "PRAGMA application_id"), Ask(connection, "PRAGMA user_version"), Ask(connection, "SELECT count(*) FROM sqlite_master"));
            if (tables == 0)
            {
                Run(connection, $"BEGIN; {Schema} PRAGMA application_id={ApplicationId}; PRAGMA user_version={Version}; COMMIT;");
            }
            else if (application != ApplicationId || version != Version)
            {
                throw new InvalidDataException(application != ApplicationId ? "it is a file of another program" : $"it is of version {version}, this program knows {Version}");
            }
            else if (AskText(connection, "PRAGMA quick_check(1)") is var found and not "ok")
            {
                throw new InvalidDataException($"it is damaged: {found}");
            }

            return new SqliteSlots(connection);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public SavedState Load()
    {
        var series = new List<SavedSeries>();
        Read("SELECT id, kind, source, source_namespace, destination, destination_namespace, route, backend, backend_namespace, endpoint, seen FROM series", r => series.Add(new SavedSeries(
            r.GetInt32(0),
            new SeriesKey((SeriesKind)r.GetInt32(1), r.GetString(2), r.GetString(3), r.GetString(4), r.GetString(5)) { Route = r.GetString(6), Backend = r.GetString(7), BackendNamespace = r.GetString(8), Endpoint = r.GetString(9) },
            Time(r.GetInt64(10)))));
        var reporters = new List<Caller>();
        Read("SELECT account, namespace FROM reporters", r => reporters.Add(new Caller(r.GetString(0), r.GetString(1))));
        var gaps = new List<MissingTime>();
        Read("SELECT begins, ends, who, why FROM gaps ORDER BY rowid", r => gaps.Add(new MissingTime(Time(r.GetInt64(0)), Time(r.GetInt64(1)), r.GetString(2), r.GetString(3))));
        var facts = new Dictionary<string, long>(StringComparer.Ordinal);
        Read("SELECT name, value FROM facts", r => facts[r.GetString(0)] = r.GetInt64(1));
        return new SavedState(
            series, reporters, gaps, facts.GetValueOrDefault("rolled"), facts.TryGetValue("at", out var at) && facts.GetValueOrDefault("last") == 0 ? Time(at) : null);
    }

    /// <inheritdoc/>
    public void Write(SlotBatch batch)
    {
        using var transaction = _connection.BeginTransaction();
        Each(transaction, "INSERT INTO slots(tier, slot, data) VALUES($0, $1, $2)", batch.Parts, p => [(int)p.Tier, p.Slot, p.Bytes]);
        Each(transaction, "INSERT OR REPLACE INTO series VALUES($0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", batch.Series, s =>
        [
            s.Id, (int)s.Key.Kind, s.Key.Source, s.Key.SourceNamespace, s.Key.Destination, s.Key.DestinationNamespace, s.Key.Route, s.Key.Backend, s.Key.BackendNamespace, s.Key.Endpoint,
            s.Seen.ToUnixTimeMilliseconds(),
        ]);
        Each(transaction, "DELETE FROM series WHERE id = $0", batch.GoneSeries, id => [id]);
        Each(transaction, "INSERT OR IGNORE INTO reporters VALUES($0, $1)", batch.Reporters, r => [r.ServiceAccount, r.Namespace]);
        if (batch.Gaps is { } gaps)
        {
            Each(transaction, "DELETE FROM gaps", [0], _ => []);
            Each(transaction, "INSERT INTO gaps VALUES($0, $1, $2, $3)", gaps, g => [g.From.ToUnixTimeMilliseconds(), g.To.ToUnixTimeMilliseconds(), g.Who, g.Why]);
        }

        var facts = new List<(string, long)>();
        if (batch.Rolled is { } rolled)
        {
            facts.Add(("rolled", rolled));
        }

        if (batch.At is { } at)
        {
            facts.AddRange([("at", at.ToUnixTimeMilliseconds()), ("last", batch.IsLast ? 1 : 0)]);
        }

        Each(transaction, "INSERT OR REPLACE INTO facts VALUES($0, $1)", facts, f => [f.Item1, f.Item2]);
        transaction.Commit();
        _bytes = Measure();
    }

    /// <inheritdoc/>
    public IEnumerable<SlotPart> Read(SlotTier tier, long from, long to)
    {
        using var command = Command("SELECT slot, data FROM slots WHERE tier = $0 AND slot >= $1 AND slot < $2", (int)tier, from, to);
        using var reader = command.ExecuteReader();
        while (reader.Read())
        {
            yield return new SlotPart(tier, reader.GetInt64(0), (byte[])reader.GetValue(1));
        }
    }

    /// <inheritdoc/>
    public long? Oldest(SlotTier tier)
    {
        using var command = Command("SELECT min(slot) FROM slots WHERE tier = $0", (int)tier);
        return command.ExecuteScalar() is long slot ? slot : null;
    }

    /// <inheritdoc/>
    public void Drop(SlotTier tier, long before)
    {
        using var command = Command("DELETE FROM slots WHERE tier = $0 AND slot < $1", (int)tier, before);
        if (command.ExecuteNonQuery() > 0)
        {
            _bytes = Measure();
        }
    }

    public void Dispose() => _connection.Dispose();

    private static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    private static void Run(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constants of ours.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    private static object? Scalar(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constants of ours.
        command.CommandText = sql;
#pragma warning restore CA2100
        return command.ExecuteScalar();
    }

    private static long Ask(SqliteConnection connection, string sql) => Convert.ToInt64(Scalar(connection, sql), CultureInfo.InvariantCulture);

    private static string AskText(SqliteConnection connection, string sql) => Scalar(connection, sql) as string ?? string.Empty;

    private SqliteCommand Command(string sql, params object[] values)
    {
        var command = _connection.CreateCommand();
#pragma warning disable CA2100 // Constants of ours; values are parameters.
        command.CommandText = sql;
#pragma warning restore CA2100
        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters.AddWithValue($"${i}", values[i]);
        }

        return command;
    }

    private void Read(string sql, Action<SqliteDataReader> row)
    {
        using var command = Command(sql);
        using var reader = command.ExecuteReader();
        while (reader.Read())
        {
            row(reader);
        }
    }

    private void Each<T>(SqliteTransaction transaction, string sql, IReadOnlyCollection<T> all, Func<T, object[]> values)
    {
        if (all.Count == 0)
        {
            return;
        }

        using var command = Command(sql);
        command.Transaction = transaction;
        foreach (var one in all)
        {
            command.Parameters.Clear();
            foreach (var value in values(one))
            {
                command.Parameters.AddWithValue($"${command.Parameters.Count}", value);
            }

            command.ExecuteNonQuery();
        }
    }

    /// <summary>What is in use: pages that were freed are taken again before the file grows.</summary>
    private long Measure() => (Ask(_connection, "PRAGMA page_count") - Ask(_connection, "PRAGMA freelist_count")) * Ask(_connection, "PRAGMA page_size");
}
